/** How long to wait after failures. Pure. */

export interface BackOff {
  readonly firstMs: number
  readonly maxMs: number
  /** Uniform in [0, 1), so that those who failed together do not come back together. */
  readonly random: () => number
}

/**
 * Delay after failure number `failures`: doubles with each up to `maxMs`; of that a random half to whole is
 * taken.
 */
export function backOffMs(failures: number, { firstMs, maxMs, random }: BackOff): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(failures - 1, 0), 30))
  return ceiling * (0.5 + 0.5 * random())
}

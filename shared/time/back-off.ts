/** Delays after failures. Pure. */

export interface BackOff {
  readonly firstMs: number
  readonly maxMs: number
  /** Uniform in [0, 1), so that clients that failed together do not retry together. */
  readonly random: () => number
}

/**
 * Delay after failure number `failures`: doubles with each failure up to `maxMs`, then reduced at random by
 * up to half.
 */
export function backOffMs(failures: number, { firstMs, maxMs, random }: BackOff): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(failures - 1, 0), 30))
  return ceiling * (0.5 + 0.5 * random())
}

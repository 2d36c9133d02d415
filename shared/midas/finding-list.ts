/** Collects findings in bounded memory: one per code, with the position of the first and the count of all. */
import type { Finding } from './finding.ts'

interface Collected {
  readonly offset: number | null
  readonly describe: (count: number) => string
  count: number
}

export class FindingList {
  readonly #byCode = new Map<string, Collected>()

  /**
   * Records a finding. `describe` of the first one with this code writes the sentence, given the total count.
   */
  add(code: string, offset: number | null, describe: (count: number) => string): void {
    const known = this.#byCode.get(code)
    if (known !== undefined) known.count += 1
    else this.#byCode.set(code, { offset, describe, count: 1 })
  }

  findings(): readonly Finding[] {
    return [...this.#byCode].map(([code, { offset, describe, count }]) => ({
      code,
      message: describe(count),
      offset,
    }))
  }
}

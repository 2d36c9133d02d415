/** Counts data events: number per id, times, and missing serial numbers. */
import type { EventHeader } from './events.ts'

interface Seen {
  count: number
  /** The expected next serial number; numbers wrap after 2^32. */
  expected: number
  missing: number
  /** Skipped numbers that may still arrive late; only the latest are remembered. */
  readonly open: Set<number>
}

const HALF = 2 ** 31
const MOST_OPEN = 1000

export class EventTally {
  readonly #byId = new Map<number, Seen>()
  #count = 0
  #firstTime: number | null = null
  #lastTime: number | null = null

  /** Counts a complete data event under `id`. */
  add(id: number, header: EventHeader): void {
    this.#count += 1
    this.#firstTime ??= header.timeSeconds
    this.#lastTime = header.timeSeconds
    const seen = this.#byId.get(id)
    if (seen === undefined) {
      this.#byId.set(id, { count: 1, expected: (header.serial + 1) >>> 0, missing: 0, open: new Set() })
      return
    }
    seen.count += 1
    const ahead = (header.serial - seen.expected) >>> 0
    if (ahead >= HALF) {
      // Late, or a repeated number: only a late one closes a gap.
      if (seen.open.delete(header.serial)) seen.missing -= 1
      return
    }
    seen.missing += ahead
    const from = Math.max(0, ahead - MOST_OPEN)
    for (let skipped = from; skipped < ahead; skipped++) seen.open.add((seen.expected + skipped) >>> 0)
    for (const oldest of seen.open) {
      if (seen.open.size <= MOST_OPEN) break
      seen.open.delete(oldest)
    }
    seen.expected = (header.serial + 1) >>> 0
  }

  get count(): number {
    return this.#count
  }

  /** Times of the first and of the last data event in the file, Unix seconds; null when there is none. */
  get times(): { readonly first: number | null; readonly last: number | null } {
    return { first: this.#firstTime, last: this.#lastTime }
  }

  /** Event id (decimal text) → events. */
  byId(): Record<string, number> {
    return Object.fromEntries([...this.#byId].map(([id, { count }]) => [String(id), count]))
  }

  /** Event id → serial numbers missing after the first that was seen; only ids that miss some. */
  serialGaps(): Record<string, number> {
    const gaps = [...this.#byId].map(([id, { missing }]) => [String(id), missing] as const)
    return Object.fromEntries(gaps.filter(([, missing]) => missing > 0))
  }
}

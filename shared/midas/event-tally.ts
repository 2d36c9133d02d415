/** Counts data events: how many per id, when, and which serial numbers are missing. */
import type { EventHeader } from './events.ts'

interface Seen {
  count: number
  lowestSerial: number
  highestSerial: number
}

export class EventTally {
  readonly #byId = new Map<number, Seen>()
  #count = 0
  #firstTime: number | null = null
  #lastTime: number | null = null

  /** Counts a whole data event under `id`. */
  add(id: number, header: EventHeader): void {
    this.#count += 1
    this.#firstTime ??= header.timeSeconds
    this.#lastTime = header.timeSeconds
    const seen = this.#byId.get(id)
    if (seen === undefined) {
      this.#byId.set(id, { count: 1, lowestSerial: header.serial, highestSerial: header.serial })
      return
    }
    seen.count += 1
    seen.lowestSerial = Math.min(seen.lowestSerial, header.serial)
    seen.highestSerial = Math.max(seen.highestSerial, header.serial)
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

  /** Event id → serial numbers missing between the lowest and the highest seen; only ids that miss some. */
  serialGaps(): Record<string, number> {
    const gaps = [...this.#byId].map(([id, seen]) => [String(id), seen.highestSerial - seen.lowestSerial + 1 - seen.count] as const)
    return Object.fromEntries(gaps.filter(([, missing]) => missing > 0))
  }
}

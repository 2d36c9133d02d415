/**
 * Token buckets that refill steadily, one per name, in the memory of this process: they limit events per
 * minute.
 */

const MINUTE_MS = 60_000

/** Most names kept, so that many invented names do not fill the memory. */
const MAX_NAMES = 10_000

export interface Buckets {
  /** Takes one token; `isEmpty` if there was none. `left` may be a fraction. */
  take(name: string): { readonly isEmpty: boolean; readonly left: number }
  giveBack(name: string): void
  /** Whole seconds until this many tokens have been added. */
  secondsFor(tokens: number): number
}

interface Bucket {
  tokens: number
  filledAt: number
}

/** @param perMinute tokens of a full bucket, which refills in a minute. */
export function createBuckets(perMinute: number, now: () => Date): Buckets {
  const buckets = new Map<string, Bucket>()
  const perMs = perMinute / MINUTE_MS
  return {
    take(name) {
      const at = now().getTime()
      const before = buckets.get(name)
      const elapsed = before === undefined ? 0 : Math.max(0, at - before.filledAt)
      const tokens = Math.min(perMinute, (before?.tokens ?? perMinute) + elapsed * perMs)
      const isEmpty = tokens < 1
      const left = isEmpty ? tokens : tokens - 1
      // Moved to the end: the first entry of the map is the least recently used.
      buckets.delete(name)
      buckets.set(name, { tokens: left, filledAt: at })
      const [oldest] = buckets.keys()
      if (buckets.size > MAX_NAMES && oldest !== undefined) buckets.delete(oldest)
      return { isEmpty, left }
    },
    giveBack(name) {
      const bucket = buckets.get(name)
      if (bucket !== undefined) bucket.tokens = Math.min(perMinute, bucket.tokens + 1)
    },
    secondsFor: (tokens) => Math.ceil(tokens / perMs / 1000),
  }
}

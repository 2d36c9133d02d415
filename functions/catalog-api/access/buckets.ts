/**
 * Buckets of tokens that fill steadily, one for each name, in the memory of this process: so many of
 * something in a minute.
 */

const MINUTE_MS = 60_000

/** Names remembered at once, so that many invented ones fill no memory. */
const MOST_NAMES = 10_000

export interface Buckets {
  /** Takes one token: `isEmpty` where there was none. `left` may be a fraction. */
  take(name: string): { readonly isEmpty: boolean; readonly left: number }
  giveBack(name: string): void
  /** Until so many tokens have come, whole seconds. */
  secondsFor(tokens: number): number
}

interface Bucket {
  tokens: number
  filledAt: number
}

/** @param perMinute tokens of a full bucket, which take a minute to come. */
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
      // Put at the end: the first of the map is the one that was asked for longest ago.
      buckets.delete(name)
      buckets.set(name, { tokens: left, filledAt: at })
      const [oldest] = buckets.keys()
      if (buckets.size > MOST_NAMES && oldest !== undefined) buckets.delete(oldest)
      return { isEmpty, left }
    },
    giveBack(name) {
      const bucket = buckets.get(name)
      if (bucket !== undefined) bucket.tokens = Math.min(perMinute, bucket.tokens + 1)
    },
    secondsFor: (tokens) => Math.ceil(tokens / perMs / 1000),
  }
}

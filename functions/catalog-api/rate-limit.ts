/** So many requests a minute for each caller: a bucket of tokens that fills steadily, in the memory of this process. */
import type { MiddlewareHandler } from 'hono'
import { refusal } from './problem.ts'
import type { ApiEnvironment } from './route.ts'

const MINUTE_MS = 60_000

/** Callers remembered at once, so that many invented ones fill no memory. */
const MOST_CALLERS = 10_000

export interface RateLimitOptions {
  /** 0: no limit. */
  readonly requestsPerMinute: number
  readonly now: () => Date
  /** Health checks come from the platform, as often as it likes. */
  readonly exempt?: ReadonlySet<string>
}

interface Bucket {
  tokens: number
  filledAt: number
}

/**
 * Refuses with 429 who asks more often; a pause lets a whole minute's requests come at once. Several instances of the service count
 * each for itself. Comes after the middleware that says who the caller is.
 */
export function rateLimit({ requestsPerMinute: limit, now, exempt = new Set() }: RateLimitOptions): MiddlewareHandler<ApiEnvironment> {
  const buckets = new Map<string, Bucket>()
  const perMs = limit / MINUTE_MS

  function take(subject: string): Bucket {
    const at = now().getTime()
    const before = buckets.get(subject)
    const elapsed = before === undefined ? 0 : Math.max(0, at - before.filledAt)
    const tokens = Math.min(limit, (before?.tokens ?? limit) + elapsed * perMs)
    const bucket = { tokens: tokens - (tokens >= 1 ? 1 : 0), filledAt: at }
    // Put at the end: the first of the map is the one that asked longest ago.
    buckets.delete(subject)
    buckets.set(subject, bucket)
    const [oldest] = buckets.keys()
    if (buckets.size > MOST_CALLERS && oldest !== undefined) buckets.delete(oldest)
    if (tokens < 1) throw tooMany(bucket)
    return bucket
  }

  const seconds = (tokens: number) => Math.ceil(tokens / perMs / 1000)
  const headersOf = ({ tokens }: Bucket) => ({
    'ratelimit-policy': `${limit};w=60`,
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(Math.floor(tokens)),
    'ratelimit-reset': String(seconds(limit - tokens)),
  })
  const tooMany = (bucket: Bucket) =>
    refusal(429, `more than ${limit} requests a minute; wait a little`, {
      ...headersOf(bucket),
      'retry-after': String(Math.max(1, seconds(1 - bucket.tokens))),
    })

  return async (c, next) => {
    if (limit === 0 || exempt.has(c.req.path)) return await next()
    const headers = headersOf(take(c.get('caller').subject))
    await next()
    for (const [name, value] of Object.entries(headers)) c.header(name, value)
  }
}

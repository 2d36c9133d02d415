/**
 * The rate limits of Discord: a bucket for each route and channel, 50 requests a second in all, and a ban for too
 * many invalid requests. Figures and answers as in https://docs.discord.com/developers/topics/rate-limits; the sizes
 * of the buckets are not documented there, these are what bots usually see.
 */
import { createHash } from 'node:crypto'

export interface Limit {
  readonly requests: number
  readonly windowMs: number
}

export interface Limits {
  /** Of each route in each channel. */
  readonly bucket: Limit
  /** Of all routes together. */
  readonly global: Limit
  /** Answers 401, 403 and 429. */
  readonly invalid: Limit
}

export const LIMITS: Limits = {
  bucket: { requests: 5, windowMs: 5000 },
  global: { requests: 50, windowMs: 1000 },
  invalid: { requests: 10_000, windowMs: 600_000 },
}

export interface Counted {
  /** False: the request is refused. */
  readonly isWithin: boolean
  readonly remaining: number
  readonly resetAt: Date
  readonly resetMs: number
}

/** Counts requests in windows that begin with the first request of each. */
function createCounter({ requests, windowMs }: Limit, now: () => Date) {
  let end = 0
  let count = 0
  const state = (isWithin: boolean): Counted => ({
    isWithin,
    remaining: Math.max(0, requests - count),
    resetAt: new Date(end),
    resetMs: end - now().getTime(),
  })
  const begin = () => {
    if (now().getTime() < end) return
    end = now().getTime() + windowMs
    count = 0
  }
  return {
    take(): Counted {
      begin()
      if (count >= requests) return state(false)
      count += 1
      return state(true)
    },
    isExhausted(): Counted | null {
      begin()
      return count >= requests ? state(false) : null
    },
  }
}

export interface RateLimiter {
  /** The ban by Cloudflare, if one is in force. */
  banned(): Counted | null
  takeGlobal(): Counted
  takeBucket(route: string, channelId: string): Counted
  countInvalid(): void
}

export function createRateLimiter(limits: Limits, now: () => Date): RateLimiter {
  const global = createCounter(limits.global, now)
  const invalid = createCounter(limits.invalid, now)
  const buckets = new Map<string, ReturnType<typeof createCounter>>()
  return {
    banned: () => invalid.isExhausted(),
    takeGlobal: () => global.take(),
    takeBucket(route, channelId) {
      const key = `${route} ${channelId}`
      const bucket = buckets.get(key) ?? createCounter(limits.bucket, now)
      buckets.set(key, bucket)
      return bucket.take()
    },
    countInvalid: () => void invalid.take(),
  }
}

const seconds = (ms: number) => ms / 1000

/** Of an answer of a route; `X-RateLimit-Bucket` does not depend on the channel. */
export const bucketHeaders = (
  route: string,
  { remaining, resetAt, resetMs }: Counted,
  { requests }: Limit,
) => ({
  'x-ratelimit-limit': String(requests),
  'x-ratelimit-remaining': String(remaining),
  'x-ratelimit-reset': String(seconds(resetAt.getTime())),
  'x-ratelimit-reset-after': String(seconds(resetMs)),
  'x-ratelimit-bucket': createHash('sha256').update(route).digest('hex').slice(0, 32),
})

/** The `Retry-After` header has whole seconds, the body a fraction. */
export function rateLimited({ resetMs }: Counted, scope: 'user' | 'global') {
  const isGlobal = scope === 'global'
  return {
    headers: {
      'retry-after': String(Math.ceil(seconds(resetMs))),
      'x-ratelimit-scope': scope,
      ...(isGlobal && { 'x-ratelimit-global': 'true' }),
    },
    body: { message: 'You are being rate limited.', retry_after: seconds(resetMs), global: isGlobal },
  }
}

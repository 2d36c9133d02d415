/** So many requests a minute for each caller, and for each address from which nobody in particular asks. */
import type { MiddlewareHandler } from 'hono'
import { createBuckets } from '../access/buckets.ts'
import type { AddressOf } from '../access/client-address.ts'
import { refusal } from './problem.ts'
import type { ApiContext, ApiEnvironment } from './route.ts'

export interface RateLimitOptions {
  /** 0: no limit. */
  readonly requestsPerMinute: number
  readonly now: () => Date
  readonly addressOf: AddressOf
  /** Health checks come from the platform, as often as it likes. */
  readonly exempt?: ReadonlySet<string>
}

/**
 * Refuses with 429 who asks more often; a pause lets a whole minute's requests come at once. Several
 * instances of the service count each for itself. Comes after the middleware that says who the caller is.
 */
export function rateLimit({
  requestsPerMinute: limit,
  now,
  addressOf,
  exempt = new Set(),
}: RateLimitOptions): MiddlewareHandler<ApiEnvironment> {
  const buckets = createBuckets(limit, now)
  const nameOf = (c: ApiContext) => {
    const { kind, subject } = c.get('caller')
    return kind === 'anonymous' ? `${subject} ${addressOf(c) ?? ''}` : subject
  }
  const headersOf = (left: number) => ({
    'ratelimit-policy': `${limit};w=60`,
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(Math.floor(left)),
    'ratelimit-reset': String(buckets.secondsFor(limit - left)),
  })

  return async (c, next) => {
    if (limit === 0 || exempt.has(c.req.path)) return await next()
    const { isEmpty, left } = buckets.take(nameOf(c))
    const headers = headersOf(left)
    if (isEmpty)
      throw refusal(429, `more than ${limit} requests a minute; wait a little`, {
        ...headers,
        'retry-after': String(Math.max(1, buckets.secondsFor(1 - left))),
      })
    await next()
    for (const [name, value] of Object.entries(headers)) c.header(name, value)
  }
}

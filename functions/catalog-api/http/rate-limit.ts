/** Limits the requests per minute of each caller, and of each address for anonymous callers. */
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
  /** Paths of health checks, which the platform may send at any rate. */
  readonly exempt?: ReadonlySet<string>
}

/**
 * Refuses excess requests with 429; after a pause, a whole minute's requests may be sent at once. Each
 * instance of the service counts separately. Must run after the middleware that identifies the caller.
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
      throw refusal(429, `more than ${limit} requests a minute; wait a minute`, {
        ...headers,
        'retry-after': String(Math.max(1, buckets.secondsFor(1 - left))),
      })
    await next()
    for (const [name, value] of Object.entries(headers)) c.header(name, value)
  }
}

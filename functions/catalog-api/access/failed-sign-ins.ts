/**
 * Guessing is slow: who sends many tokens that are not good, or ends sign-ins that it did not begin, is not
 * listened to for a while. Each costs a look into the catalogue, a signature or a request to the IAM.
 */
import { createHash } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import { HEALTH_PATHS } from '../api/health.ts'
import { refusal } from '../http/problem.ts'
import type { ApiEnvironment } from '../http/route.ts'
import { createBuckets } from './buckets.ts'
import type { AddressOf } from './client-address.ts'

const FAILURES_PER_MINUTE = 60
/** Headers that were good lately, remembered by their hash. */
const MOST_GOOD = 1000

/**
 * Refuses with 429, by address. A token that was good before is looked at in any case: who shares an address
 * with a stranger (a proxy that nobody configured, an institute) is not locked out. To be used before
 * `authenticate`; where the host tells no address nothing is limited.
 */
export function limitFailures(addressOf: AddressOf, now: () => Date): MiddlewareHandler<ApiEnvironment> {
  const failures = createBuckets(FAILURES_PER_MINUTE, now)
  const good = new Set<string>()
  const remember = (header: string) => {
    good.delete(header)
    good.add(header)
    const [oldest] = good
    if (good.size > MOST_GOOD && oldest !== undefined) good.delete(oldest)
  }

  return async (c, next) => {
    // Nobody looks at a token there: it would pass for one that was good.
    if (HEALTH_PATHS.has(c.req.path)) return await next()
    const header = hashOf(c.req.header('authorization'))
    const address = header !== null || c.req.path === '/signed-in' ? addressOf(c) : null
    if (address === null) return await next()
    const isKnown = header !== null && good.has(header)
    // Taken first and given back: else many at once would all come before the first is counted.
    if (!isKnown) {
      const { isEmpty, left } = failures.take(address)
      if (isEmpty) throw tooMany(Math.max(1, failures.secondsFor(1 - left)))
    }
    await next()
    const { status } = c.res
    const isRefused =
      header === null ? status === 400 || status === 403 : status === 401 && c.get('caller') === undefined
    if (isRefused && isKnown) failures.take(address)
    if (!isRefused && !isKnown) failures.giveBack(address)
    if (header === null) return
    if (isRefused) good.delete(header)
    else if (c.get('caller') !== undefined) remember(header)
  }
}

const hashOf = (header: string | undefined): string | null =>
  header === undefined ? null : createHash('sha256').update(header).digest('base64')

const tooMany = (seconds: number) =>
  refusal(429, 'too many tokens or sign-ins from your address were not good; wait a little', {
    'retry-after': String(seconds),
  })

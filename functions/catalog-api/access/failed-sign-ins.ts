/**
 * Slows down guessing: an address that sends many invalid tokens, or completes sign-ins that it did not
 * begin, is refused for a while. Each attempt costs a query, a signature check or a request to the IAM.
 */
import { createHash } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import { HEALTH_PATHS } from '../api/health.ts'
import { refusal } from '../http/problem.ts'
import type { ApiEnvironment } from '../http/route.ts'
import { createBuckets } from './buckets.ts'
import type { AddressOf } from './client-address.ts'

const FAILURES_PER_MINUTE = 60
/** Recently valid headers, remembered by their hash. */
const MAX_REMEMBERED = 1000

/**
 * Refuses with 429, by address. A recently valid token is always checked, so that users who share an address
 * with an attacker (an unconfigured proxy, an institute) are not locked out. Must run before `authenticate`.
 * Where the host provides no address, nothing is limited.
 */
export function limitFailures(addressOf: AddressOf, now: () => Date): MiddlewareHandler<ApiEnvironment> {
  const failures = createBuckets(FAILURES_PER_MINUTE, now)
  const good = new Set<string>()
  const remember = (header: string) => {
    good.delete(header)
    good.add(header)
    const [oldest] = good
    if (good.size > MAX_REMEMBERED && oldest !== undefined) good.delete(oldest)
  }

  return async (c, next) => {
    // No token is checked there, so an invalid one would be remembered as valid.
    if (HEALTH_PATHS.has(c.req.path)) return await next()
    const header = hashOf(c.req.header('authorization'))
    const address = header !== null || c.req.path === '/signed-in' ? addressOf(c) : null
    if (address === null) return await next()
    const isKnown = header !== null && good.has(header)
    // Taken first and returned on success: otherwise many simultaneous requests would all pass before the
    // first is counted.
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
  refusal(429, 'too many invalid tokens or sign-ins from your address; wait a minute', {
    'retry-after': String(seconds),
  })

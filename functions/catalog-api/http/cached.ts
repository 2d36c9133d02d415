/**
 * A cached value of another service: refreshed from time to time, and used while that service is unreachable.
 */
import { TransientError } from '../../../shared/errors.ts'

export interface Cached<T> {
  /**
   * The cached value; loaded when it is missing or old.
   * @throws TransientError when there is none, or it is too old to be used.
   */
  get(): Promise<T>
  /**
   * Loads the value again, but not more often than the pause allows; the result is then current.
   * @throws TransientError when the last attempt failed, so that the current value is unknown.
   */
  renew(): Promise<T>
}

export interface CacheTimes {
  /** Age after which it is loaded again. */
  readonly freshMs: number
  /**
   * Minimum time between two attempts, successful or not: strangers cannot make us flood the other service.
   */
  readonly pauseMs: number
  /** Age after which it is not used even if it cannot be loaded again. */
  readonly longestMs: number
}

export function createCached<T>(
  what: string,
  load: () => Promise<T>,
  times: CacheTimes,
  now: () => Date,
): Cached<T> {
  let known: { readonly value: T; readonly atMs: number } | null = null
  let failure: unknown = null
  let triedMs = Number.NEGATIVE_INFINITY
  let trying: Promise<void> | null = null
  /** `abs`: a clock that was set back must not make seconds last for hours. */
  const msSince = (ms: number) => Math.abs(now().getTime() - ms)

  const attempt = async (): Promise<void> => {
    try {
      known = { value: await load(), atMs: now().getTime() }
      failure = null
    } catch (error) {
      failure = error
    } finally {
      triedMs = now().getTime()
      trying = null
    }
  }
  const refresh = async () => {
    if (trying === null && msSince(triedMs) < times.pauseMs) return
    trying ??= attempt()
    await trying
  }
  const failed = () => new TransientError(`${what} cannot be loaded now`, {}, { cause: failure })
  return {
    async get() {
      if (known === null || msSince(known.atMs) > times.freshMs) await refresh()
      if (known === null || msSince(known.atMs) > times.longestMs) throw failed()
      return known.value
    },
    async renew() {
      await refresh()
      if (known === null || failure !== null) throw failed()
      return known.value
    },
  }
}

/**
 * Something that another service tells us, kept: asked for again now and then, and used on while the other is
 * away.
 */
import { TransientError } from '../../../shared/errors.ts'

export interface Kept<T> {
  /**
   * What is known; asked for when it is old or not known yet.
   * @throws TransientError when nothing is known, or it is older than it may become.
   */
  get(): Promise<T>
  /**
   * Asks again, though not more often than the pause allows: then what is known is the newest there is.
   * @throws TransientError when the last attempt failed, so that nobody can tell.
   */
  renew(): Promise<T>
}

export interface KeepingTimes {
  /** Asked for again after so long. */
  readonly freshMs: number
  /** Between two attempts, whatever comes of them: strangers cannot make us flood the other service. */
  readonly pauseMs: number
  /** Not used any longer than so, when it cannot be asked for again. */
  readonly longestMs: number
}

export function createKept<T>(
  what: string,
  load: () => Promise<T>,
  times: KeepingTimes,
  now: () => Date,
): Kept<T> {
  let known: { readonly value: T; readonly atMs: number } | null = null
  let failure: unknown = null
  let triedMs = Number.NEGATIVE_INFINITY
  let trying: Promise<void> | null = null
  const nowMs = () => now().getTime()

  const attempt = async (): Promise<void> => {
    try {
      known = { value: await load(), atMs: nowMs() }
      failure = null
    } catch (error) {
      failure = error
    } finally {
      triedMs = nowMs()
      trying = null
    }
  }
  const tryAgain = async () => {
    if (trying === null && nowMs() - triedMs < times.pauseMs) return
    trying ??= attempt()
    await trying
  }
  const failed = () => new TransientError(`${what} cannot be had now`, {}, { cause: failure })
  return {
    async get() {
      if (known === null || nowMs() - known.atMs > times.freshMs) await tryAgain()
      if (known === null || nowMs() - known.atMs > times.longestMs) throw failed()
      return known.value
    },
    async renew() {
      await tryAgain()
      if (known === null || failure !== null) throw failed()
      return known.value
    },
  }
}

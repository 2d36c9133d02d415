/** Requests of a wait that lasts hours: an outage of the API ends no wait. */
import { TransientError } from '../../shared/errors.ts'
import { pause } from '../../shared/time/pause.ts'
import { printToStderr } from '../output.ts'

/**
 * Repeats the request until it is answered, and reports each outage once.
 * @throws any error that is not transient; the transient one when the wait was interrupted.
 */
export async function duringWait<T>(
  request: () => Promise<T>,
  pollMs: number,
  signal: AbortSignal,
): Promise<T> {
  for (let isReported = false; ; isReported = true) {
    try {
      return await request()
    } catch (error) {
      if (!(error instanceof TransientError) || signal.aborted) throw error
      if (!isReported) printToStderr(`${error.message}; the wait goes on`)
      await pause(pollMs, signal)
    }
  }
}

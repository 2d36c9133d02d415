/** Limits on work that may never end by itself. */
import { TransientError } from '../errors.ts'
import { MAX_TIMER_MS } from './pause.ts'

/**
 * After its signal aborts, work may take this long to put things in order before it is given up,
 * milliseconds.
 */
const FAREWELL_MS = 2000

/**
 * Runs work under a time limit and a stop signal. The work is given a signal that aborts on either, then has
 * two seconds to end by itself; after that it is left to itself and counts as failed.
 * @throws what the work throws, or TransientError naming the limit when it did not end.
 */
export async function runWithin<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { timeoutSeconds, stop }: { readonly timeoutSeconds: number; readonly stop: AbortSignal },
): Promise<T> {
  const controller = new AbortController()
  const givenUp = Promise.withResolvers<never>()
  let farewell: NodeJS.Timeout | undefined
  // Timers and listeners are cleared one by one: AbortSignal.timeout and .any would keep them for as long as
  // the host lives.
  const abort = (reason: string) => {
    if (controller.signal.aborted) return
    const error = new TransientError(reason)
    controller.abort(error)
    farewell = setTimeout(() => givenUp.reject(error), FAREWELL_MS)
  }
  const onStop = () => abort('the host stopped before the work was done')
  const limit = setTimeout(
    () => abort(`not done within ${timeoutSeconds} s`),
    Math.min(timeoutSeconds * 1000, MAX_TIMER_MS),
  )
  if (stop.aborted) onStop()
  else stop.addEventListener('abort', onStop, { once: true })
  try {
    return await Promise.race([work(controller.signal), givenUp.promise])
  } finally {
    clearTimeout(limit)
    clearTimeout(farewell)
    stop.removeEventListener('abort', onStop)
  }
}

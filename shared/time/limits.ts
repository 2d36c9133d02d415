/** Limits on work that might not end by itself. */
import { TransientError } from '../errors.ts'
import { MAX_TIMER_MS } from './pause.ts'

/** After its signal aborts, work may take this long to clean up before it is given up, milliseconds. */
const CLEANUP_MS = 2000

/**
 * Runs work under a time limit and a stop signal. The signal passed to the work aborts on either; the work
 * then has two seconds to end. After that it is no longer waited for and counts as failed.
 * @throws what the work throws, or TransientError naming the limit when it did not end.
 */
export async function runWithin<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { timeoutSeconds, stop }: { readonly timeoutSeconds: number; readonly stop: AbortSignal },
): Promise<T> {
  const controller = new AbortController()
  const limitExceeded = Promise.withResolvers<never>()
  let cleanupTimer: NodeJS.Timeout | undefined
  // Timers and listeners are removed one by one: AbortSignal.timeout and .any would keep them for the
  // lifetime of the host.
  const abort = (reason: string) => {
    if (controller.signal.aborted) return
    const error = new TransientError(reason)
    controller.abort(error)
    cleanupTimer = setTimeout(() => limitExceeded.reject(error), CLEANUP_MS)
  }
  const onStop = () => abort('the host stopped before the work was finished')
  const limit = setTimeout(
    () => abort(`not finished within ${timeoutSeconds} s`),
    Math.min(timeoutSeconds * 1000, MAX_TIMER_MS),
  )
  if (stop.aborted) onStop()
  else stop.addEventListener('abort', onStop, { once: true })
  try {
    return await Promise.race([work(controller.signal), limitExceeded.promise])
  } finally {
    clearTimeout(limit)
    clearTimeout(cleanupTimer)
    stop.removeEventListener('abort', onStop)
  }
}

/** Waiting that can be cut short, how long to wait after failures, and limits on work that may never end by itself. */
import { TransientError } from '../errors.ts'

/** The longest wait one timer of Node takes: 2³¹ − 1 milliseconds, about 25 days. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** After its signal aborts, work may take this long to put things in order before it is given up, milliseconds. */
const FAREWELL_MS = 2000

/** Waits. Returns early, without throwing, when the signal aborts: the caller looks at the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  for (let left = ms; left > 0 && !signal.aborted; left -= MAX_TIMER_MS) await pauseOnce(Math.min(left, MAX_TIMER_MS), signal)
}

function pauseOnce(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}

export interface BackOff {
  readonly firstMs: number
  readonly maxMs: number
  /** Uniform in [0, 1), so that those who failed together do not come back together. */
  readonly random: () => number
}

/** Delay after failure number `failures`: doubles with each up to `maxMs`; of that a random half to whole is taken. */
export function backOffMs(failures: number, { firstMs, maxMs, random }: BackOff): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(failures - 1, 0), 30))
  return ceiling * (0.5 + 0.5 * random())
}

/**
 * Runs work under a time limit and a stop signal. The work is given a signal that aborts on either, then has two seconds
 * to end by itself; after that it is left to itself and counts as failed.
 * @throws what the work throws, or TransientError naming the limit when it did not end.
 */
export async function runWithin<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { timeoutSeconds, stop }: { readonly timeoutSeconds: number; readonly stop: AbortSignal },
): Promise<T> {
  const controller = new AbortController()
  const givenUp = Promise.withResolvers<never>()
  let farewell: NodeJS.Timeout | undefined
  // Timers and listeners are cleared one by one: AbortSignal.timeout and .any would keep them for as long as the host lives.
  const abort = (reason: string) => {
    if (controller.signal.aborted) return
    const error = new TransientError(reason)
    controller.abort(error)
    farewell = setTimeout(() => givenUp.reject(error), FAREWELL_MS)
  }
  const onStop = () => abort('the host stopped before the work was done')
  const limit = setTimeout(() => abort(`not done within ${timeoutSeconds} s`), Math.min(timeoutSeconds * 1000, MAX_TIMER_MS))
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

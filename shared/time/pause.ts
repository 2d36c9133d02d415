/** Waiting that can be interrupted. */

/** The longest delay of a timer in Node: 2³¹ − 1 milliseconds, about 25 days. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Waits. Returns early, without throwing, when the signal aborts: the caller must check the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  for (let left = ms; left > 0 && !signal.aborted; left -= MAX_TIMER_MS)
    await pauseOnce(Math.min(left, MAX_TIMER_MS), signal)
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

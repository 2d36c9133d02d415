/** A client that repeats its request as soon as it has the answer, on the clock of fake timers. */
import { vi } from 'vitest'

const STEP_MS = 10

/** Returns the number of requests in a minute; ends earlier at `most`. */
export async function repeatForAMinute(request: () => Promise<unknown>, most = 1_000): Promise<number> {
  const end = performance.now() + 60_000
  let requests = 0
  for (; performance.now() < end && requests < most; requests++) {
    const answer = { isThere: false }
    void request().then(() => {
      answer.isThere = true
    })
    // What the app itself awaits takes no time of this clock.
    while (!answer.isThere) await vi.advanceTimersByTimeAsync(STEP_MS)
  }
  return requests
}

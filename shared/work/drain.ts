/** Runs due work, several items at a time, within the time of one call. */

/** No further item is started after this time: one may take most of the function's time limit. */
const BEGIN_WITHIN_MS = 45_000

/**
 * Runs item after item, `atOnce` in parallel, until none is due (`next` returns null) or the time to start
 * one is over. Returns only after all have ended: none continues in the background.
 * @throws the error of the first `next` that failed; the others are still drained.
 *
 *     const ends = await drain(3, signal, () => advanceNext(context, tapeCopy, options, signal, log))
 */
export async function drain<Done>(
  atOnce: number,
  signal: AbortSignal,
  next: () => Promise<Done | null>,
): Promise<readonly Done[]> {
  const began = performance.now()
  const all: Done[] = []
  const work = async () => {
    while (!signal.aborted && performance.now() - began < BEGIN_WITHIN_MS) {
      const done = await next()
      if (done === null) return
      all.push(done)
    }
  }
  const calls = await Promise.allSettled(Array.from({ length: atOnce }, work))
  const failure = calls.find((call) => call.status === 'rejected')
  if (failure !== undefined) throw failure.reason
  return all
}

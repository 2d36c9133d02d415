/** Work that is due, a few pieces at once, within the time of one call. */

/** After so long no further piece is begun in the same call: one may take most of a function's time. */
const BEGIN_WITHIN_MS = 45_000

/**
 * Does one piece after another, `atOnce` at the same time, until none is due (`next` returns null) or the time to
 * begin one is over. All are waited for: none goes on behind the back of a call that has ended.
 * @throws what the first `next` that failed threw; the others are still drained.
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

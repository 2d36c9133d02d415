/**
 * Shares one result among all callers with the same key at about the same time: after a change, every open
 * page loads at once.
 */

/**
 * A load in progress for longer than this is not waited for by new callers: it may hang, while a new one may
 * succeed.
 */
const LONGEST_MS = 10_000

interface InProgress<T> {
  readonly answer: Promise<T>
  readonly begun: number
  next: Promise<T> | null
}

/**
 * Loads under a key. A caller that arrives during a load waits for the next one, together with all others
 * that arrive until then. So no result is older than its caller's request, and normally only one load per key
 * is in progress. Results are not cached.
 */
export function createSingleFlight<T>(): (name: string, load: () => Promise<T>) => Promise<T> {
  const inProgress = new Map<string, InProgress<T>>()

  function begin(name: string, ask: () => Promise<T>): Promise<T> {
    const own: InProgress<T> = { answer: ask(), begun: performance.now(), next: null }
    inProgress.set(name, own)
    const end = () => {
      if (own.next === null && inProgress.get(name) === own) inProgress.delete(name)
    }
    own.answer.then(end, end)
    return own.answer
  }

  return (name, ask) => {
    const before = inProgress.get(name)
    if (before === undefined || performance.now() - before.begun > LONGEST_MS) return begin(name, ask)
    before.next ??= before.answer.then(
      () => begin(name, ask),
      () => begin(name, ask),
    )
    return before.next
  }
}

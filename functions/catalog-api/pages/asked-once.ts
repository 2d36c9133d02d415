/**
 * One answer for all who ask the same at about the same time: a change makes every watched page ask at once.
 */

/**
 * What takes longer than so is not waited for by those who come then: what it hangs on may be back for them.
 */
const LONGEST_MS = 10_000

interface UnderWay<T> {
  readonly answer: Promise<T>
  readonly begun: number
  next: Promise<T> | null
}

/**
 * Asks under a name. Who comes while the question is being answered waits for the next answer, with all
 * others who do: no answer is older than the question of who gets it, and never are two of a name under way.
 * Nothing is kept.
 */
export function createAskedOnce<T>(): (name: string, ask: () => Promise<T>) => Promise<T> {
  const underWay = new Map<string, UnderWay<T>>()

  function begin(name: string, ask: () => Promise<T>): Promise<T> {
    const own: UnderWay<T> = { answer: ask(), begun: performance.now(), next: null }
    underWay.set(name, own)
    const end = () => {
      if (own.next === null && underWay.get(name) === own) underWay.delete(name)
    }
    own.answer.then(end, end)
    return own.answer
  }

  return (name, ask) => {
    const before = underWay.get(name)
    if (before === undefined || performance.now() - before.begun > LONGEST_MS) return begin(name, ask)
    before.next ??= before.answer.then(
      () => begin(name, ask),
      () => begin(name, ask),
    )
    return before.next
  }
}

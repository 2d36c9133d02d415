/** A scheduled function as several independent parts. */
import type { Invocation } from './handler.ts'

export interface Part {
  /** The log events for the part's success and failure. */
  readonly done: string
  readonly failed: string
  /** Identifies the part in both, e.g. its bucket. */
  readonly fields?: object
  /** Its result is logged with `done`; a part that returns nothing logs itself. */
  readonly work: () => Promise<object | undefined>
}

/**
 * Runs the parts of each sequence one after another, and the sequences at the same time. A failing part is
 * logged and does not stop the others. After the signal aborted, the remaining parts are still called: each
 * ends at once, after its own clean-up.
 *
 * A part that takes long holds up no other one, also on a host that runs the function once at a time: the next run
 * may begin meanwhile. It leaves out the parts that are still in progress, so that no part runs twice at once in a
 * process, and there are never more runs than parts. A part whose run had to end counts as in progress no more, even if
 * it does not end.
 * @throws at the end, the error of the first failed part.
 */
export type EachPart = (invocation: Invocation, ...sequences: readonly (readonly Part[])[]) => Promise<void>

/**
 * One for each handler.
 *
 *     const eachPart = createEachPart()
 *     return (_event, invocation) => eachPart(invocation, [events, runs])
 */
export function createEachPart(): EachPart {
  /** By the names of parts, the signal of the run in which each is in progress. */
  const inProgress = new Map<string, AbortSignal>()
  return async ({ log, signal, allowNext }, ...sequences) => {
    const failures: unknown[] = []
    const runPart = async (part: Part) => {
      const { done, failed, fields, work } = part
      const name = `${done} ${JSON.stringify(fields)}`
      if (inProgress.get(name)?.aborted === false)
        return log.debug({ ...fields, part: done }, 'part-still-in-progress')
      inProgress.set(name, signal)
      const started = performance.now()
      try {
        const result = await work()
        const ms = Math.round(performance.now() - started)
        if (result !== undefined) log.info({ ...fields, ...result, ms }, done)
      } catch (error) {
        failures.push(error)
        log.error({ ...fields, error }, failed)
      } finally {
        if (inProgress.get(name) === signal) inProgress.delete(name)
      }
    }
    allowNext?.()
    await Promise.all(
      sequences.map(async (parts) => {
        for (const part of parts) await runPart(part)
      }),
    )
    if (failures.length > 0) throw failures[0]
  }
}

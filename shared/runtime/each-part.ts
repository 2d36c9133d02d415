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
 * @throws at the end, the error of the first failed part.
 *
 *     await eachPart(invocation, [events, runs])
 */
export async function eachPart(
  { log }: Pick<Invocation, 'log'>,
  ...sequences: readonly (readonly Part[])[]
): Promise<void> {
  const failures: unknown[] = []
  const runPart = async ({ done, failed, fields, work }: Part) => {
    const started = performance.now()
    try {
      const result = await work()
      const ms = Math.round(performance.now() - started)
      if (result !== undefined) log.info({ ...fields, ...result, ms }, done)
    } catch (error) {
      failures.push(error)
      log.error({ ...fields, error }, failed)
    }
  }
  await Promise.all(
    sequences.map(async (parts) => {
      for (const part of parts) await runPart(part)
    }),
  )
  if (failures.length > 0) throw failures[0]
}

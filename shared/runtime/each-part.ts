/** A scheduled function as several independent parts. */
import type { Invocation } from './handler.ts'

export interface Part {
  /** Names of the log events: the part is done, or failed. */
  readonly done: string
  readonly failed: string
  /** What names the part in both, e.g. its bucket. */
  readonly fields?: object
  /** Its result is logged with `done`; one that returns nothing logs for itself. */
  readonly work: () => Promise<object | undefined>
}

/**
 * Runs the parts of each sequence one after another, and the sequences at the same time. A part that fails is
 * logged and stops no other one. After the signal aborted the parts that are left are still called: each ends by
 * itself at once, and puts in order what it has to.
 * @throws at the end, what the first of the failed parts threw.
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

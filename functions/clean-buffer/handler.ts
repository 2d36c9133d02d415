/**
 * Schedule: single events leave the buffer, and runs with a verified copy on tape the store, as the policy
 * says.
 */

import type { TapeContext } from '../../shared/context.ts'
import { cleanEvents } from '../../shared/copies/clean/clean-events.ts'
import { cleanRuns } from '../../shared/copies/clean/clean-runs.ts'
import type { ScheduleHandler } from '../../shared/runtime/handler.ts'

export function createHandler(context: TapeContext): ScheduleHandler {
  return async (_event, { signal, log }) => {
    const failures: unknown[] = []
    const part = async (name: string, work: () => Promise<object>) => {
      const started = performance.now()
      // What is wrong with one part must not keep the other from being done.
      try {
        log.info({ ...(await work()), ms: Math.round(performance.now() - started) }, `${name}-cleaned`)
      } catch (error) {
        failures.push(error)
        log.error({ error }, `${name}-not-cleaned`)
      }
    }
    const options = { dryRun: false, now: context.now() }
    await part('events', () => cleanEvents(context, options, signal, log))
    await part('runs', async () => {
      const { deleted, refused, failed, ...totals } = await cleanRuns(context, options, signal, log)
      return { deleted: deleted.length, refused: refused.length, failed: failed.length, ...totals }
    })
    if (failures.length > 0) throw failures[0]
  }
}

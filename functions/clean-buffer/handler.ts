/**
 * Schedule: single events are deleted from the buffer, and runs with a verified copy on tape from the store, as
 * the policy states.
 */
import { cleanEvents } from '../../shared/copies/clean/clean-events.ts'
import { cleanRuns } from '../../shared/copies/clean/clean-runs.ts'
import { createEachPart } from '../../shared/runtime/each-part.ts'
import type { ScheduleHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, queues, s3, tape } from '../../shared/runtime/open-context.ts'

export const needs = [database, queues, s3, tape]

export function createHandler(context: ContextOf<typeof needs>): ScheduleHandler {
  const eachPart = createEachPart()
  return async (_event, invocation) => {
    const { signal, log } = invocation
    const options = { dryRun: false, now: context.now() }
    await eachPart(invocation, [
      {
        done: 'events-cleaned',
        failed: 'events-not-cleaned',
        work: () => cleanEvents(context, options, signal, log),
      },
      {
        done: 'runs-cleaned',
        failed: 'runs-not-cleaned',
        async work() {
          const { deleted, refused, failed, ...totals } = await cleanRuns(context, options, signal, log)
          return { deleted: deleted.length, refused: refused.length, failed: failed.length, ...totals }
        },
      },
    ])
  }
}

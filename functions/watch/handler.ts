/** Schedule: alerts that are due are shown, whatever became of their messages; silences end, pages escalate. */
import { reviewAlerts, showAlerts } from '../../shared/alerts/dispatch.ts'
import { createRota } from '../../shared/alerts/rota-source.ts'
import { createEachPart } from '../../shared/runtime/each-part.ts'
import type { ScheduleHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, channels, database, queues, s3 } from '../../shared/runtime/open-context.ts'

/** Ends before the next minute. */
const PACE = { withinMs: 40_000 }

export const needs = [database, queues, s3, channels]

export function createHandler(context: ContextOf<typeof needs>): ScheduleHandler {
  const eachPart = createEachPart()
  const whoIsOnShift = createRota(context)
  return (_event, invocation) => {
    const { signal, log } = invocation
    const reviewed = {
      done: 'alerts-reviewed',
      failed: 'alerts-not-reviewed',
      work: async () => reviewAlerts(context, await whoIsOnShift(signal)),
    }
    const shown = {
      done: 'alerts-dispatched',
      failed: 'alerts-not-dispatched',
      work: () => showAlerts(context, PACE, signal, log),
    }
    return eachPart(invocation, [reviewed, shown])
  }
}

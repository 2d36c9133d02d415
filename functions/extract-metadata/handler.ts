/** Queue `runs`: an object that arrived becomes a catalogued run. */
import { parkNotification } from '../../shared/catalogue/parked.ts'
import { processArrival } from '../../shared/ingest/process-arrival.ts'
import { runs } from '../../shared/messages/runs.ts'
import { eachMessage } from '../../shared/runtime/each-message.ts'
import type { QueueHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, queues, s3 } from '../../shared/runtime/open-context.ts'
import { sendRequests } from '../../shared/work/send-requests.ts'

export const needs = [database, queues, s3]

export function createHandler(context: ContextOf<typeof needs>): QueueHandler {
  return eachMessage(runs, async ({ arrivals, rejected }, { signal, log, body }) => {
    if (rejected.length > 0) {
      // The whole message is kept: what a part of it means is often seen only from its neighbours.
      const reason = [...new Set(rejected.map((part) => part.reason))].join('; ')
      await sendRequests(
        context,
        [await parkNotification(context.database, body, reason, context.now())],
        signal,
      )
      log.warn({ reason }, 'notification-parked')
    }
    for (const arrival of arrivals) await processArrival(context, arrival, signal, log)
  })
}

/**
 * Queue `alerts`: requests become episodes, and the channels show them. A message is only a wake-up, whatever it
 * contains: the requests are read from the outbox.
 */
import { showAlerts } from '../../shared/alerts/dispatch.ts'
import type { QueueHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, channels, database, queues, s3 } from '../../shared/runtime/open-context.ts'

/** Short, so that the next alert is folded soon: `watch` goes on with what has to wait for a channel. */
const PACE = { withinMs: 10_000 }

export const needs = [database, queues, s3, channels]

export function createHandler(context: ContextOf<typeof needs>): QueueHandler {
  return async (_event, { signal, log }) => {
    log.info(await showAlerts(context, PACE, signal, log), 'alerts-shown')
    return { batchItemFailures: [] }
  }
}

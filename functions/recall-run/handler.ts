/**
 * Queue `recall-requests`: a file of a run comes back from tape, as far as it gets now. Whatever the outcome, it
 * is in the row with the time of the next step: track-tape continues there.
 */
import { advanceRecall } from '../../shared/copies/recall/recall.ts'
import { recallRequests } from '../../shared/messages/recall-requests.ts'
import { eachMessage } from '../../shared/runtime/each-message.ts'
import type { QueueHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, publicS3, queues, s3, tape } from '../../shared/runtime/open-context.ts'

export const needs = [database, queues, s3, publicS3, tape]

export function createHandler(context: ContextOf<typeof needs>): QueueHandler {
  return eachMessage(recallRequests, ({ replicaId }, { signal, log }) =>
    advanceRecall(context, replicaId, signal, log),
  )
}

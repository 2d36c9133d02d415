/**
 * Queue `recall-requests`: a file of a run comes back from tape, as far as it gets now. Whatever the outcome, it
 * is in the row with the time of the next step: track-tape continues there.
 */
import type { TapeContext } from '../../shared/context.ts'
import { advanceRecall } from '../../shared/copies/recall/recall.ts'
import { recallRequests } from '../../shared/messages/recall-requests.ts'
import { eachMessage } from '../../shared/runtime/each-message.ts'
import type { QueueHandler } from '../../shared/runtime/handler.ts'

export function createHandler(context: TapeContext): QueueHandler {
  return eachMessage(recallRequests, ({ replicaId }, { signal, log }) =>
    advanceRecall(context, replicaId, signal, log),
  )
}

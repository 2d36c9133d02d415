/**
 * Queue `recall-requests`: a file of a run comes back from tape, as far as it gets now; the schedule goes on
 * with it.
 */

import type { TapeContext } from '../../shared/context.ts'
import { parseRecallMessage } from '../../shared/copies/recall/message.ts'
import { advanceRecall } from '../../shared/copies/recall/recall.ts'
import { ConflictError, classify } from '../../shared/errors.ts'
import type { QueueHandler } from '../../shared/runtime/handler.ts'

export function createHandler(context: TapeContext): QueueHandler {
  return async (event, { signal, log }) => {
    const batchItemFailures: { itemIdentifier: string }[] = []
    for (const message of event.Records) {
      try {
        const { replicaId } = parseRecallMessage(message.body)
        // Whatever came of it stands in the row with the time of the next step: the message has done its
        // part.
        await advanceRecall(context, replicaId, signal, log)
      } catch (error) {
        const failure = classify(error)
        log[failure instanceof ConflictError ? 'info' : 'error'](
          { error: failure, message: message.messageId },
          'message-not-processed',
        )
        batchItemFailures.push({ itemIdentifier: message.messageId })
      }
    }
    return { batchItemFailures }
  }
}

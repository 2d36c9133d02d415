/**
 * Queue `recall-requests`: files of runs come back from tape, as far as they get now. Whatever the outcome, it
 * is in the row with the time of the next step: track-tape continues there.
 */
import { findRecall } from '../../shared/catalogue/recalls.ts'
import { fetchRecalls } from '../../shared/copies/recall/schedule.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { recallRequests } from '../../shared/messages/recall-requests.ts'
import { eachMessage } from '../../shared/runtime/each-message.ts'
import type { QueueHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, publicS3, queues, s3, tape } from '../../shared/runtime/open-context.ts'

export const needs = [database, queues, s3, publicS3, tape]

/** Several run at the same time where there are several messages. */
const AT_ONCE = 1

export function createHandler(context: ContextOf<typeof needs>): QueueHandler {
  return async (event, invocation) => {
    const accept = eachMessage(recallRequests, async ({ replicaId }) => {
      if ((await findRecall(context.database, replicaId)) === null)
        throw new InvalidInputError(`there is no recall ${replicaId}`, { replicaId })
    })
    const outcome = await accept(event, invocation)
    // Those that are next, which need not be those of the messages: these have been dealt with.
    await fetchRecalls(context, AT_ONCE, invocation.signal, invocation.log).catch((error) =>
      invocation.log.error({ error }, 'recalls-not-fetched'),
    )
    return outcome
  }
}

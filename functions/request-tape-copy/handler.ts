/**
 * Queue `tape-requests`: every file of a run gets a verified copy on tape. The request becomes a row, then a copy
 * is made.
 */
import { copyWaiting, hasTape } from '../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../shared/copies/tape/tape-request.ts'
import { tapeRequests } from '../../shared/messages/tape-requests.ts'
import { eachMessage } from '../../shared/runtime/each-message.ts'
import type { QueueHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, publicS3, queues, s3, tape } from '../../shared/runtime/open-context.ts'

export const needs = [database, queues, s3, publicS3, tape]

export function createHandler(context: ContextOf<typeof needs>): QueueHandler {
  return async (event, invocation) => {
    const { signal, log } = invocation
    if (!hasTape(context)) {
      // Nothing is lost: track-tape requests the copies of all files once an endpoint is configured.
      log.warn({ messages: event.Records.length }, 'no-tape-driver')
      return { batchItemFailures: [] }
    }
    const accept = eachMessage(tapeRequests, (request) => acceptTapeRequest(context, request))
    const outcome = await accept(event, invocation)
    // The next copy in line, not necessarily this message's: live runs go before the backlog.
    await copyWaiting(context, 1, signal, log)
    return outcome
  }
}

/**
 * Queue `tape-requests`: every file of a run gets a verified copy on tape. The wish is written down, then
 * copies are made.
 */

import type { TapeContext } from '../../shared/context.ts'
import { copyWaiting, hasTape } from '../../shared/copies/tape/copy-to-tape.ts'
import { acceptTapeRequest, parseTapeRequest } from '../../shared/copies/tape/tape-request.ts'
import { classify } from '../../shared/errors.ts'
import type { QueueHandler } from '../../shared/runtime/handler.ts'

export function createHandler(context: TapeContext): QueueHandler {
  return async (event, { signal, log }) => {
    if (!hasTape(context)) {
      // The catalogue knows the files: track-tape asks for their copies once there is a place for them.
      log.warn({ messages: event.Records.length }, 'no-tape-driver')
      return { batchItemFailures: [] }
    }
    const batchItemFailures: { itemIdentifier: string }[] = []
    for (const message of event.Records) {
      try {
        await acceptTapeRequest(context, parseTapeRequest(message.body))
      } catch (error) {
        log.error({ error: classify(error), message: message.messageId }, 'message-not-processed')
        batchItemFailures.push({ itemIdentifier: message.messageId })
      }
    }
    // The next in line, which need not be this message's: live runs go before the backlog.
    await copyWaiting(context, 1, signal, log)
    return { batchItemFailures }
  }
}

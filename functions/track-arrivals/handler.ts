/** Schedule: arrivals that are due are processed, and requests that were written but not sent are sent. */
import { processDue } from '../../shared/ingest/due-arrivals.ts'
import { createEachPart } from '../../shared/runtime/each-part.ts'
import type { ScheduleHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, queues, s3 } from '../../shared/runtime/open-context.ts'
import { flushOutbox } from '../../shared/work/outbox.ts'

/** A function sends its requests right after it has written them: those that are older were left behind. */
const LEFT_BEHIND_MS = 5000

export const needs = [database, queues, s3]

export function createHandler(context: ContextOf<typeof needs>): ScheduleHandler {
  const eachPart = createEachPart()
  return (_event, invocation) => {
    const { signal, log } = invocation
    const sendLeftBehind = () => {
      const olderThan = new Date(context.now().getTime() - LEFT_BEHIND_MS)
      return flushOutbox(context.database, context.queues, { olderThan }, signal)
    }
    const sendRequests = {
      done: 'requests-sent',
      failed: 'requests-not-sent',
      work: async () => ({ requests: await sendLeftBehind() }),
    }
    const buckets = context.config.store.rawBuckets.map((bucket) => ({
      done: 'due-arrivals-processed',
      failed: 'due-arrivals-not-processed',
      fields: { bucket },
      work: () => processDue(context, bucket, signal, log, sendLeftBehind),
    }))
    // At the same time: a store that does not answer holds up nothing else.
    return eachPart(invocation, [sendRequests], ...buckets.map((part) => [part]))
  }
}

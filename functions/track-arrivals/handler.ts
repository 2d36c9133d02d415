/** Schedule: arrivals that are due are processed, and requests that were written but not sent are sent. */
import { processDue } from '../../shared/ingest/due-arrivals.ts'
import { eachPart } from '../../shared/runtime/each-part.ts'
import type { ScheduleHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, queues, s3 } from '../../shared/runtime/open-context.ts'
import { flushOutbox } from '../../shared/work/outbox.ts'

/** A function sends its requests right after it has written them: those that are older were left behind. */
const LEFT_BEHIND_MS = 5000

export const needs = [database, queues, s3]

export function createHandler(context: ContextOf<typeof needs>): ScheduleHandler {
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
    // At the same time: a store that does not answer holds up nothing else in this call. The next call of
    // this host begins when this one has ended, at the latest at the function's time limit.
    return eachPart(invocation, [sendRequests], ...buckets.map((part) => [part]))
  }
}

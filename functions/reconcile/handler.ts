/**
 * Schedule: the buckets are listed against the ledger, and objects without a notification are enqueued; history
 * that a person has adopted is treated as new.
 */
import { releaseHistory } from '../../shared/ingest/adopt.ts'
import { alertStalledListing, reconcile } from '../../shared/ingest/reconcile.ts'
import { eachPart } from '../../shared/runtime/each-part.ts'
import type { ScheduleHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, queues, s3 } from '../../shared/runtime/open-context.ts'

/** A run's own notification gets this long before the listing speaks for it. */
const GRACE_SECONDS = 120

export const needs = [database, queues, s3]

export function createHandler(context: ContextOf<typeof needs>): ScheduleHandler {
  return (_event, invocation) => {
    const { signal } = invocation
    const parts = context.config.store.rawBuckets.map((bucket) => ({
      done: 'bucket-reconciled',
      failed: 'bucket-not-reconciled',
      fields: { bucket },
      work: () =>
        reconcile(context, { bucket, prefix: '', graceSeconds: GRACE_SECONDS, resume: true }, signal).catch(
          async (error) => {
            await alertStalledListing(context, bucket, error)
            throw error
          },
        ),
    }))
    const adoption = {
      done: 'history-adopted',
      failed: 'history-not-adopted',
      work: () => releaseHistory(context, signal),
    }
    // At the same time: a bucket that cannot be listed holds up no other.
    return eachPart(invocation, [adoption], ...parts.map((part) => [part]))
  }
}

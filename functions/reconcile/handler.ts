/**
 * Schedule: the buckets are listed against the ledger, and objects without a notification are enqueued; history
 * that a person has adopted is treated as new. Leases that were written by a clock that was ahead are shortened, and
 * lasting sign-ins that no token needs are forgotten.
 */
import { forgetUnneededSignIns } from '../../shared/access/tokens.ts'
import { releaseHistory } from '../../shared/ingest/adopt.ts'
import { alertStalledListing, reconcile } from '../../shared/ingest/reconcile.ts'
import { createEachPart } from '../../shared/runtime/each-part.ts'
import type { ScheduleHandler } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, queues, s3 } from '../../shared/runtime/open-context.ts'
import { shortenLeases } from '../../shared/work/lease.ts'

/** A run's own notification gets this long before the listing speaks for it. */
const GRACE_SECONDS = 120

/** Longer than every lease of a fixed length, and than CYGNET_LEASE_SECONDS usually is. */
const LONGEST_LEASE_SECONDS = 3600

export const needs = [database, queues, s3]

export function createHandler(context: ContextOf<typeof needs>): ScheduleHandler {
  const eachPart = createEachPart()
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
    const leases = {
      done: 'leases-shortened',
      failed: 'leases-not-shortened',
      work: async () => {
        const { leaseSeconds } = context.config.work
        const longest = Math.max(LONGEST_LEASE_SECONDS, leaseSeconds)
        const shortened = await shortenLeases(context.database, longest)
        return shortened > 0 ? { shortened } : undefined
      },
    }
    const signIns = {
      done: 'sign-ins-forgotten',
      failed: 'sign-ins-not-forgotten',
      work: async () => {
        const forgotten = await forgetUnneededSignIns(context.database, context.now())
        return forgotten > 0 ? { forgotten } : undefined
      },
    }
    // At the same time: a bucket that cannot be listed holds up no other.
    return eachPart(invocation, [leases], [signIns], [adoption], ...parts.map((part) => [part]))
  }
}

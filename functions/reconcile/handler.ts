/** Schedule: the buckets are listed against the ledger, and what no notification told of is enqueued. */

import type { StorageContext } from '../../shared/context.ts'
import { reconcile } from '../../shared/ingest/reconcile.ts'
import type { ScheduleHandler } from '../../shared/runtime/handler.ts'

/** A run's own notification gets this long before the listing speaks for it. */
const GRACE_SECONDS = 120

export function createHandler(context: StorageContext): ScheduleHandler {
  return async (_event, { signal, log }) => {
    const failures: unknown[] = []
    for (const bucket of context.config.store.rawBuckets) {
      const started = performance.now()
      // One bucket that cannot be listed must not keep the others from it.
      try {
        const progress = await reconcile(
          context,
          { bucket, prefix: '', graceSeconds: GRACE_SECONDS, resume: true },
          signal,
        )
        log.info({ bucket, ...progress, ms: Math.round(performance.now() - started) }, 'bucket-reconciled')
      } catch (error) {
        failures.push(error)
        log.error({ bucket, error }, 'bucket-not-reconciled')
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}

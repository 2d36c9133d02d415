/** HTTP: the webhook of the stores, over the catalogue's ledger and the queue `runs`. */
import type { Hono } from 'hono'
import { recordArrivals } from '../../shared/catalogue/arrivals.ts'
import { parkNotification } from '../../shared/catalogue/parked.ts'
import type { Context } from '../../shared/context.ts'
import { encodeNotification } from '../../shared/messages/runs.ts'
import { routeKey } from '../../shared/notifications/route-key.ts'
import { flushOutbox } from '../../shared/work/outbox.ts'
import { createWebhook } from './webhook.ts'

/** A queue that has not answered by then is down; the store keeps the notification and sends it again. */
const QUEUE_TIMEOUT_MS = 10_000

/** @throws InvalidInputError when no token is configured. */
export function createHandler(context: Context): Hono {
  const { config, database, queues, log } = context
  const timeLimit = () => AbortSignal.timeout(QUEUE_TIMEOUT_MS)
  return createWebhook({
    ledger: {
      recordArrivals: (arrivals, at) => recordArrivals(database, arrivals, at),
      async park(body, reason) {
        const alert = await parkNotification(database, body, reason, context.now())
        // The alert is in the outbox: where the queue is down, reconcile sends it later.
        await flushOutbox(database, queues, { names: [alert.name] }, timeLimit()).catch((error) =>
          log.warn({ error }, 'alert-waits'),
        )
      },
    },
    queue: {
      // A message each: a run that fails is tried again by itself.
      sendArrivals: (arrivals) =>
        queues.send(
          'runs',
          arrivals.map((arrival) => encodeNotification([arrival])),
          timeLimit(),
        ),
    },
    concerns: ({ bucket, key }) =>
      config.store.rawBuckets.includes(bucket) &&
      routeKey(key, config.store.ignoredPrefixes).kind !== 'ignored',
    token: config.ingest.notificationToken ?? '',
    bodyLimitBytes: config.ingest.notificationBodyBytes,
    log,
    now: context.now,
  })
}

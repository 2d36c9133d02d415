/** HTTP: the webhook of the stores; it writes to the catalogue's ledger and the queue `runs`. */
import { recordArrivals } from '../../shared/catalogue/arrivals.ts'
import { noteNotificationTest } from '../../shared/catalogue/notification-tests.ts'
import { parkNotification } from '../../shared/catalogue/parked.ts'
import { encodeNotification } from '../../shared/messages/runs.ts'
import { routeKey } from '../../shared/notifications/route-key.ts'
import { clientAddress } from '../../shared/runtime/client-address.ts'
import type { HttpApp } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, queues } from '../../shared/runtime/open-context.ts'
import { raiseDaily } from '../../shared/work/raised-alerts.ts'
import { sendRequests } from '../../shared/work/send-requests.ts'
import { createWebhook } from './webhook.ts'

/** After this time the queue counts as down; the store keeps the notification and sends it again. */
const QUEUE_TIMEOUT_MS = 10_000

export const needs = [database, queues]

/** @throws InvalidInputError when no token is configured. */
export function createHandler(context: ContextOf<typeof needs>): HttpApp {
  const { config, database, queues, log, now } = context
  const { rawBuckets, ignoredPrefixes } = config.store
  const timeLimit = () => AbortSignal.timeout(QUEUE_TIMEOUT_MS)
  return createWebhook({
    ledger: {
      recordArrivals: (arrivals, at) => recordArrivals(database, arrivals, at),
      async noteTests(arrivals) {
        for (const { key } of arrivals) await noteNotificationTest(database, key, 'receivedAt')
      },
      park: async (body, reason) =>
        sendRequests(context, [await parkNotification(database, body, reason, now())], timeLimit()),
    },
    queue: {
      sendArrivals(arrivals) {
        // One message for each run, so that a failing run is tried again alone.
        const messages = arrivals.map((arrival) => encodeNotification([arrival]))
        return queues.send('runs', messages, timeLimit())
      },
    },
    concerns: ({ bucket, key }) =>
      rawBuckets.includes(bucket) && routeKey(key, ignoredPrefixes).kind !== 'ignored',
    token: config.ingest.notificationToken ?? '',
    bodyLimitBytes: config.ingest.notificationBodyBytes,
    addressOf: (connection, forwardedFor) =>
      clientAddress(connection, forwardedFor, config.access.trustedProxies),
    // One alert for a reason, whatever the number of sources.
    async alert({ reason, source, count }) {
      const summary = `receive-notification refused ${count} requests of ${source ?? 'an unknown address'} in a minute: ${reason}. Runs are found by listings, minutes later; see "cygnet notifications show"`
      const facts = { requestsInAMinute: count, source: source ?? 'unknown' }
      const about = { rule: 'notifications-refused', severity: 'error', subject: reason } as const
      const request = await raiseDaily(database, { ...about, summary, facts }, now())
      await sendRequests(context, [request], timeLimit())
    },
    log,
    now,
  })
}

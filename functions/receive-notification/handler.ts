/** HTTP: the webhook of the stores; it writes to the catalogue's ledger and the queue `runs`. */
import { recordArrivals } from '../../shared/catalogue/arrivals.ts'
import { noteNotificationTest } from '../../shared/catalogue/notification-tests.ts'
import { parkNotification } from '../../shared/catalogue/parked.ts'
import { noteRefusals } from '../../shared/catalogue/refused-notifications.ts'
import { encodeNotification } from '../../shared/messages/runs.ts'
import { routeKey } from '../../shared/notifications/route-key.ts'
import { clientAddress } from '../../shared/runtime/client-address.ts'
import type { HttpApp } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, queues } from '../../shared/runtime/open-context.ts'
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
    async noteRefusals(refusals) {
      const alerts = await noteRefusals(database, refusals, now())
      await sendRequests(context, alerts, timeLimit())
    },
    log,
    now,
  })
}

/**
 * The webhook of the object stores: MinIO and Ceph post notifications, and get the answer once nothing can be
 * lost.
 *
 * `POST /`, `POST /<store>`, `POST /<token>`, `POST /<store>/<token>`, each also below `/webhook`, where an
 * API Gateway shared with other functions sends them: the token as bearer, or in the path for Ceph, which
 * sends no headers (`push-endpoint=https://host/ceph/<token>`; the path is never logged here, nor should a
 * proxy log it). `GET` and `HEAD` answer 200 as a health check (MinIO sends one).
 *
 * 200: each record is in the ledger and the queue, or parked. 503: not stored, send it again. 401, 404, 405,
 * 413: refused.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { type Context, Hono } from 'hono'
import { InvalidInputError } from '../../shared/errors.ts'
import { distinctArrivals } from '../../shared/notifications/arrival.ts'
import { type ParsedNotification, parseNotification } from '../../shared/notifications/parse.ts'
import { readBody } from './body.ts'
import type { WebhookPorts } from './ports.ts'

const PATHS = ['/', '/:last', '/:store/:last', '/webhook/:store/:last']

/** MinIO and Ceph repeat in their own rhythm; for other senders. */
const RETRY_AFTER_SECONDS = '5'

/**
 * Makes the HTTP app.
 * @throws InvalidInputError when the token is empty: an open webhook would accept notifications from anybody.
 */
export function createWebhook(ports: WebhookPorts): Hono {
  const { token, bodyLimitBytes, log } = ports
  if (token.trim() === '')
    throw new InvalidInputError('receive-notification needs a token (CYGNET_NOTIFICATION_TOKEN)')
  const mayPost = createTokenCheck(token)

  const receive = async (c: Context) => {
    if (!mayPost(c.req.header('authorization'), c.req.path))
      return c.json({ error: 'unauthorized' }, 401, { 'www-authenticate': 'Bearer' })
    const began = performance.now()
    const body = await readBody(c.req.raw, bodyLimitBytes)
    if (body.kind === 'too-large') {
      log.warn({ limitBytes: bodyLimitBytes }, 'notification-too-large')
      return c.json({ error: 'too large' }, 413)
    }
    const counts =
      body.kind === 'text' ? await store(ports, body.text) : await park(ports, body.parkable, body.reason)
    log.info({ ...counts, ms: Math.round(performance.now() - began) }, 'notification-received')
    return c.json(counts)
  }

  const app = new Hono({ strict: true })
  app.on(['GET', 'HEAD'], PATHS, (c) => c.body(null, 200))
  app.on('POST', PATHS, receive)
  app.on('ALL', PATHS, (c) => c.json({ error: 'method not allowed' }, 405, { allow: 'GET, HEAD, POST' }))
  app.notFound((c) => c.json({ error: 'not found' }, 404))
  app.onError((error, c) => {
    log.error({ error }, 'notification-not-stored')
    return c.json({ error: 'not stored, send it again' }, 503, { 'retry-after': RETRY_AFTER_SECONDS })
  })
  return app
}

const BEARER = /^Bearer +(\S+) *$/i

/**
 * Makes the check of a request's credentials: `Authorization: Bearer <token>` (MinIO, and whatever can send
 * headers), or the token as the last segment of the path (Ceph sends no header at all).
 */
function createTokenCheck(token: string): (authorization: string | undefined, path: string) => boolean {
  const expected = digest(token)
  // Digests have the same length and are compared in constant time, so the time of the answer does not reveal
  // how much of a guess was right.
  const matches = (given: string) => timingSafeEqual(digest(given), expected)
  return (authorization, path) => {
    const [, bearer = ''] = BEARER.exec(authorization ?? '') ?? []
    const byHeader = matches(bearer)
    const byPath = matches(lastSegment(path))
    return byHeader || byPath
  }
}

function lastSegment(path: string): string {
  const segment = path.slice(path.lastIndexOf('/') + 1)
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

interface Counts {
  readonly arrivals: number
  readonly ignored: number
  readonly parked: number
}

/**
 * Ledger first, then queue: an arrival that is only in the ledger is found by reconcile, one that is only in the
 * queue could be lost.
 */
async function store(ports: WebhookPorts, text: string): Promise<Counts> {
  const notification = parseNotification(text)
  const arrivals = distinctArrivals(notification.arrivals).filter(ports.concerns)
  if (arrivals.length > 0) {
    await ports.ledger.recordArrivals(arrivals, ports.now())
    await ports.queue.sendArrivals(arrivals)
  }
  const parked = notification.rejected.length
  if (parked > 0) await park(ports, text, reasonsOf(notification), parked)
  return {
    arrivals: arrivals.length,
    ignored: notification.ignored.length + notification.arrivals.length - arrivals.length,
    parked,
  }
}

/** The whole body is kept, once: a rejected record can often be understood only from its neighbours. */
async function park(ports: WebhookPorts, body: string, reason: string, parked = 1): Promise<Counts> {
  ports.log.warn({ reason, parked }, 'notification-parked')
  await ports.ledger.park(body, reason)
  return { arrivals: 0, ignored: 0, parked }
}

/** Each reason once, with its count: `the object key is empty (3 records)`. */
function reasonsOf({ rejected }: ParsedNotification): string {
  const times = new Map<string, number>()
  for (const { reason } of rejected) times.set(reason, (times.get(reason) ?? 0) + 1)
  return [...times]
    .map(([reason, count]) => (count === 1 ? reason : `${reason} (${count} records)`))
    .join('; ')
}

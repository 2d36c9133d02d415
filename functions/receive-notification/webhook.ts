/**
 * The webhook of the object stores: MinIO and Ceph post notifications, and get the answer once nothing can be
 * lost.
 *
 * `POST /`, `POST /<store>`, `POST /<token>`, `POST /<store>/<token>`, each also below `/webhook`, where an
 * API Gateway shared with other functions sends them: the token as bearer, in the body, or in the path
 * (credentials.ts). The path is never logged here. `GET` and `HEAD` answer 200 as a health check (MinIO sends one).
 *
 * 200: each record is in the ledger and the queue, or parked. 503: not stored, send it again. 401, 404, 405,
 * 413: refused. All but 200 are delayed, counted and logged once a source and minute (runtime/refusals.ts).
 */
import { type Context, Hono } from 'hono'
import { InvalidInputError } from '../../shared/errors.ts'
import { distinctArrivals } from '../../shared/notifications/arrival.ts'
import { type ParsedNotification, parseNotification } from '../../shared/notifications/parse.ts'
import { testIdOf } from '../../shared/notifications/test-object.ts'
import type { HostOfRequest } from '../../shared/runtime/handler.ts'
import { createRefusals, type Refusal } from '../../shared/runtime/refusals.ts'
import { type Body, readBody } from './body.ts'
import { createCredentials } from './credentials.ts'
import type { WebhookPorts } from './ports.ts'
import { withoutToken } from './without-token.ts'

const PATHS = ['/', '/:last', '/:store/:last', '/webhook/:store/:last']

/** MinIO and Ceph repeat in their own rhythm; for other senders. */
const RETRY_AFTER_SECONDS = '5'

/** Ceph sends one event of a kilobyte at a time. Without a token, no more is read. */
const UNAUTHORIZED_BODY_BYTES = 64 * 1024

interface Environment {
  readonly Bindings: HostOfRequest
}

/**
 * Makes the HTTP app.
 * @throws InvalidInputError when the token is empty: an open webhook would accept notifications from anybody.
 */
export function createWebhook(ports: WebhookPorts): Hono<Environment> {
  const { token, bodyLimitBytes, log, addressOf } = ports
  if (token.trim() === '')
    throw new InvalidInputError('receive-notification needs a token (CYGNET_NOTIFICATION_TOKEN)')
  const credentials = createCredentials(token)
  const refusals = createRefusals({ log, note: ports.noteRefusals })
  const hold = (c: Context<Environment>, refusal: Omit<Refusal, 'source'>) => {
    const source = addressOf(c.env?.clientAddress, c.req.header('x-forwarded-for'))
    return refusals.hold({ ...refusal, source }, c.env)
  }
  const refuse = async (c: Context<Environment>, answer: Response, reason: string, isAlerted = false) => {
    await hold(c, { event: 'notification-refused', reason, isAlerted })
    return answer
  }

  const receive = async (c: Context<Environment>) => {
    const isAuthorized = credentials.ofRequest(c.req.header('authorization'), c.req.path)
    const began = performance.now()
    const limit = isAuthorized ? bodyLimitBytes : Math.min(bodyLimitBytes, UNAUTHORIZED_BODY_BYTES)
    const body = await readBody(c.req.raw, limit)
    if (!isAuthorized && !(body.kind === 'text' && credentials.ofBody(body.text))) {
      const answer = c.json({ error: 'unauthorized' }, 401, { 'www-authenticate': 'Bearer' })
      const isAlerted = isNotification(body)
      return await refuse(
        c,
        answer,
        isAlerted ? 'a notification without a valid token' : 'no valid token',
        isAlerted,
      )
    }
    if (body.kind === 'too-large')
      return await refuse(c, c.json({ error: 'too large' }, 413), `more than ${bodyLimitBytes} bytes`, true)
    const counts =
      body.kind === 'text' ? await store(ports, body.text) : await park(ports, body.parkable, body.reason)
    log.info({ ...counts, ms: Math.round(performance.now() - began) }, 'notification-received')
    return c.json(counts)
  }

  /**
   * Where nothing is received: a store whose rule has an old address, or a method of a proxy, would otherwise lose its
   * notifications without a word.
   */
  const refuseElsewhere = async (c: Context<Environment>, answer: Response, where: string) => {
    const isOfStore = credentials.ofRequest(c.req.header('authorization'), c.req.path)
    const body = await readBody(c.req.raw, Math.min(bodyLimitBytes, UNAUTHORIZED_BODY_BYTES)).catch(
      () => null,
    )
    const isAlerted = isOfStore || (body !== null && isNotification(body))
    return await refuse(c, answer, isAlerted ? `a notification by ${where}` : where, isAlerted)
  }

  const app = new Hono<Environment>({ strict: true })
  app.on(['GET', 'HEAD'], PATHS, (c) => c.body(null, 200))
  app.on('POST', PATHS, receive)
  app.on('ALL', PATHS, (c) =>
    refuseElsewhere(
      c,
      c.json({ error: 'method not allowed' }, 405, { allow: 'GET, HEAD, POST' }),
      'another method than POST',
    ),
  )
  app.notFound((c) => refuseElsewhere(c, c.json({ error: 'not found' }, 404), 'an unknown path'))
  app.onError(async (error, c) => {
    await hold(c, { event: 'notification-not-stored', reason: 'not stored', error, isAlerted: true })
    return c.json({ error: 'not stored, send it again' }, 503, { 'retry-after': RETRY_AFTER_SECONDS })
  })
  return app
}

/** Others than stores try any address: people are alerted of notifications only. */
const isNotification = (body: Body): boolean => {
  if (body.kind !== 'text') return false
  const { arrivals, ignored } = parseNotification(body.text)
  return arrivals.length + ignored.length > 0
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
  const distinct = distinctArrivals(notification.arrivals)
  const arrivals = distinct.filter(ports.concerns)
  const tests = distinct.filter(({ key }) => testIdOf(key) !== null)
  if (tests.length > 0) {
    await ports.ledger.noteTests(tests)
    // The queue as well: it is a part of the way.
    await ports.queue.sendArrivals(tests)
  }
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

/** The whole body is kept but for the token, once: a rejected record can often be understood only from its neighbours. */
async function park(ports: WebhookPorts, body: string, reason: string, parked = 1): Promise<Counts> {
  ports.log.warn({ reason, parked }, 'notification-parked')
  await ports.ledger.park(withoutToken(body, ports.token), reason)
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

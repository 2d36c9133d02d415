/**
 * Queue and schedule functions as HTTP apps, as called by OpenFaaS and Knative.
 *
 * `POST /` accepts messages in Lambda's format (`{"Records": [{"messageId", "body"}]}`) and returns which
 * failed. It also accepts one CloudEvent, a batch of them, or a notification as S3 sends it (`{"Records":
 * [{"s3"}]}`): the data of each event, or the notification, becomes the body of one message. When one of them
 * fails the answer is 503, which Knative retries and then dead-letters.
 */
import { randomUUID } from 'node:crypto'
import type { SQSEvent, SQSRecord } from 'aws-lambda'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import * as z from 'zod'
import type { Logger } from '../log.ts'
import { runWithin } from '../time/limits.ts'
import type { HostOfRequest, HttpApp, QueueHandler, ScheduleHandler } from './handler.ts'
import { createRefusals } from './refusals.ts'
import { scheduledEvent } from './schedule.ts'

export interface FunctionAppOptions {
  /** Name of the function. */
  readonly name: string
  readonly log: Logger
  readonly timeoutSeconds: number
  /** Interrupts running work: the host's grace period is over. */
  readonly stop: AbortSignal
}

/** Ten SQS messages of the largest size, with their framing. */
const MAX_BODY_BYTES = 12 * 1024 * 1024

const sqsEvent = z.object({
  Records: z.array(z.looseObject({ messageId: z.string().min(1), body: z.string() })).min(1),
})
const cloudEvent = z.object({
  specversion: z.string(),
  id: z.string().min(1),
  data: z.unknown().optional(),
  data_base64: z.string().optional(),
})
const s3Notification = z.object({ Records: z.array(z.looseObject({ s3: z.looseObject({}) })).min(1) })

/** A queue function behind HTTP. */
export function queueApp(handler: QueueHandler, options: FunctionAppOptions): HttpApp {
  const app = functionApp(options)
  app.post('/', async (c) => {
    const text = await c.req.text()
    const json = parseJson(text)
    const messages = sqsEvent.safeParse(json)
    const run = (event: SQSEvent) =>
      runWithin((signal) => handler(event, { signal, log: options.log }), {
        timeoutSeconds: options.timeoutSeconds,
        stop: options.stop,
      })
    if (messages.success) {
      const Records = messages.data.Records.map((record) => ({
        ...messageOf(record.messageId, record.body),
        ...record,
      }))
      return c.json(await run({ Records }))
    }
    const records = recordsOf(text, json, c.req.header('ce-id'))
    if (records === null)
      return c.json(
        {
          error:
            'expected SQS messages ({"Records": [{"messageId", "body"}]}), CloudEvents or a notification of S3',
        },
        400,
      )
    const { batchItemFailures } = await run({ Records: records })
    return batchItemFailures.length === 0
      ? c.body(null, 204)
      : c.json({ error: 'not finished, try again' }, 503)
  })
  return app
}

/**
 * A schedule function behind HTTP (OpenFaaS's cron connector, Knative's PingSource): any POST runs it, but
 * never two at once unless the handler permits it.
 */
export function scheduleApp(handler: ScheduleHandler, options: FunctionAppOptions): HttpApp {
  const app = functionApp(options)
  /** The run during which no other may begin. */
  let running: symbol | null = null
  app.post('/', async (c) => {
    if (running !== null) return c.json({ skipped: 'the previous run is still in progress' }, 202)
    const own = Symbol()
    running = own
    const allowNext = () => {
      if (running === own) running = null
    }
    try {
      const event = scheduledEvent(options.name, new Date())
      const limits = { timeoutSeconds: options.timeoutSeconds, stop: options.stop }
      await runWithin((signal) => handler(event, { signal, log: options.log, allowNext }), limits)
      return c.body(null, 204)
    } finally {
      allowNext()
    }
  })
  return app
}

/** Failed calls of a caller, a minute, before its next ones are delayed. */
const TOLERATED = 20

interface Environment {
  readonly Bindings: HostOfRequest
}

/** Errors are only logged; the caller learns only that it should retry. One that does so at once waits. */
function functionApp({ log }: FunctionAppOptions): Hono<Environment> {
  const app = new Hono<Environment>()
  const refusals = createRefusals({ log, tolerated: TOLERATED })
  app.use(async (c, next) => {
    await next()
    if (c.res.status < 400) return
    const refusal = { source: c.env?.clientAddress ?? null, reason: `answered ${c.res.status}` }
    await refusals.hold({ event: 'calls-refused', ...refusal }, c.env)
  })
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: (c) => c.json({ error: 'too large' }, 413) }))
  app.notFound((c) => c.json({ error: 'not found' }, 404))
  app.onError((error, c) => {
    log.error({ error }, 'call-failed')
    return c.json({ error: 'failed, try again' }, 503)
  })
  return app
}

/**
 * One message for each event, or for the whole notification.
 * @param id of a CloudEvent whose attributes are in the headers. @returns null for anything else.
 */
function recordsOf(text: string, json: unknown, id: string | undefined): SQSRecord[] | null {
  if (id !== undefined) return [messageOf(id, text)]
  const events = z
    .union([cloudEvent.transform((event) => [event]), z.array(cloudEvent).min(1)])
    .safeParse(json).data
  if (events !== undefined) return events.map((event) => messageOf(event.id, dataOf(event)))
  return s3Notification.safeParse(json).success ? [messageOf(randomUUID(), text)] : null
}

function dataOf(event: z.infer<typeof cloudEvent>): string {
  if (event.data_base64 !== undefined) return Buffer.from(event.data_base64, 'base64').toString()
  return typeof event.data === 'string' ? event.data : JSON.stringify(event.data ?? null)
}

function messageOf(messageId: string, body: string): SQSRecord {
  const now = String(Date.now())
  return {
    messageId,
    receiptHandle: '',
    body,
    attributes: {
      ApproximateReceiveCount: '1',
      SentTimestamp: now,
      SenderId: '',
      ApproximateFirstReceiveTimestamp: now,
    },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'cloudevents',
    eventSourceARN: '',
    awsRegion: 'local',
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

import type { SQSEvent } from 'aws-lambda'
import { expect, test, vi } from 'vitest'
import { TransientError } from '../../../shared/errors.ts'
import { queueApp, scheduleApp } from '../../../shared/runtime/function-app.ts'
import type { QueueHandler, ScheduleHandler } from '../../../shared/runtime/handler.ts'
import { repeatForAMinute } from '../../support/repeat-for-a-minute.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'
import { LONGEST_WAIT_SECONDS } from '../../support/waiting.ts'

const ok = { batchItemFailures: [] }

function queueFunction(handler: QueueHandler, timeoutSeconds = LONGEST_WAIT_SECONDS) {
  const { log, lines } = recordingLog()
  const app = queueApp(handler, {
    name: 'extract-metadata',
    log,
    timeoutSeconds,
    stop: new AbortController().signal,
  })
  const post = async (body: string, headers: Record<string, string> = {}, path = '/') =>
    await app.fetch(new Request(`http://function${path}`, { method: 'POST', body, headers }))
  return { post, lines, app }
}

const messages = (...bodies: string[]) =>
  JSON.stringify({ Records: bodies.map((body, index) => ({ messageId: `m${index}`, body })) })

test('messages are handed over as Lambda would, and the failed ones are named in the answer', async () => {
  const events: SQSEvent[] = []
  const { post } = queueFunction(async (event) => {
    events.push(event)
    return { batchItemFailures: [{ itemIdentifier: 'm1' }] }
  })
  const response = await post(messages('one', 'two'))
  expect(response.status).toBe(200)
  expect(await response.json()).toEqual({ batchItemFailures: [{ itemIdentifier: 'm1' }] })
  expect(
    events[0]?.Records.map(({ body, attributes }) => [body, attributes.ApproximateReceiveCount]),
  ).toEqual([
    ['one', '1'],
    ['two', '1'],
  ])
})

test.each([
  ['binary', '{"run":1}', { 'ce-id': 'e1', 'ce-specversion': '1.0', 'ce-type': 't', 'ce-source': 's' }],
  [
    'structured',
    JSON.stringify({ specversion: '1.0', id: 'e1', type: 't', source: 's', data: { run: 1 } }),
    {},
  ],
  [
    'structured text',
    JSON.stringify({ specversion: '1.0', id: 'e1', type: 't', source: 's', data: '{"run":1}' }),
    {},
  ],
  [
    'structured base64',
    JSON.stringify({ specversion: '1.0', id: 'e1', type: 't', source: 's', data_base64: 'eyJydW4iOjF9' }),
    {},
  ],
] as const)('a CloudEvent (%s) is one message', async (_, body, headers) => {
  const seen: unknown[] = []
  const { post } = queueFunction(async (event) => {
    seen.push(...event.Records.map((record) => [record.messageId, record.body]))
    return ok
  })
  expect((await post(body, headers)).status).toBe(204)
  expect(seen).toEqual([['e1', '{"run":1}']])
})

const s3Event = JSON.stringify({
  Records: [{ eventName: 'ObjectCreated:Put', s3: { object: { key: 'a' } } }],
})

test.each([
  [
    'a batch of CloudEvents is one message each',
    JSON.stringify([
      { specversion: '1.0', id: 'e1', data: { run: 1 } },
      { specversion: '1.0', id: 'e2', data_base64: 'eyJydW4iOjJ9' },
    ]),
    ['{"run":1}', '{"run":2}'],
  ],
  ['a notification as S3 sends it is one message', s3Event, [s3Event]],
] as const)('%s; 503 when one fails', async (_, body, bodies) => {
  const seen: string[] = []
  const { post } = queueFunction(async ({ Records }) => {
    seen.push(...Records.map((record) => record.body))
    return ok
  })
  expect((await post(body, { 'content-type': 'application/json' })).status).toBe(204)
  expect(seen).toEqual(bodies)
  const failing = queueFunction(async ({ Records }) => ({
    batchItemFailures: Records.slice(-1).map(({ messageId }) => ({ itemIdentifier: messageId })),
  }))
  expect((await failing.post(body)).status).toBe(503)
})

test('a CloudEvent that fails is answered 503, so that Knative sends it again', async () => {
  const event = JSON.stringify({ specversion: '1.0', id: 'e1', data: {} })
  const reporting = queueFunction(async (event) => ({
    batchItemFailures: event.Records.map((r) => ({ itemIdentifier: r.messageId })),
  }))
  expect((await reporting.post(event)).status).toBe(503)
  const throwing = queueFunction(async () => {
    throw new Error('mysql://user:password@host is down')
  })
  const response = await throwing.post(event)
  expect(response.status).toBe(503)
  expect(await response.text()).not.toContain('password')
  expect(throwing.lines.map((line) => line.event)).toEqual(['call-failed'])
})

test('a handler that takes too long is aborted and answered with 503', async () => {
  const { post } = queueFunction(
    (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    0.05,
  )
  expect((await post(messages('one'))).status).toBe(503)
})

test.each([
  '',
  'text',
  '[]',
  '[{}]',
  '{}',
  '{"Records":[{"s3":1}]}',
  '{"Records":[]}',
  '{"Records":[{"body":"no id"}]}',
])('%j is answered 400 and never reaches the handler', async (body) => {
  const { post } = queueFunction(async () => expect.unreachable())
  const response = await post(body)
  expect(response.status).toBe(400)
  expect(await response.json()).toEqual({ error: expect.stringContaining('expected SQS messages') })
})

test('too large a body is answered 413, another path 404', async () => {
  const { post } = queueFunction(async () => expect.unreachable())
  expect((await post(' '.repeat(13 * 1024 * 1024))).status).toBe(413)
  expect((await post(messages('one'), {}, '/else')).status).toBe(404)
})

test('a schedule function runs on any POST, and never twice at once', async () => {
  const running = Promise.withResolvers<void>()
  let runs = 0
  const handler: ScheduleHandler = async () => {
    runs++
    await running.promise
  }
  const { log } = recordingLog()
  const app = scheduleApp(handler, {
    name: 'reconcile',
    log,
    timeoutSeconds: LONGEST_WAIT_SECONDS,
    stop: new AbortController().signal,
  })
  const post = async () => await app.fetch(new Request('http://function/', { method: 'POST' }))
  const first = post()
  expect((await post()).status).toBe(202)
  running.resolve()
  expect((await first).status).toBe(204)
  expect((await post()).status).toBe(204)
  expect(runs).toBe(2)
})

test('a schedule function runs during another run that permits it, whichever of them ends first', async () => {
  const ends: PromiseWithResolvers<void>[] = []
  const handler: ScheduleHandler = async (_, { allowNext }) => {
    const end = Promise.withResolvers<void>()
    ends.push(end)
    if (ends.length === 1) allowNext?.()
    await end.promise
  }
  const { log } = recordingLog()
  const stop = new AbortController().signal
  const app = scheduleApp(handler, { name: 'reconcile', log, timeoutSeconds: LONGEST_WAIT_SECONDS, stop })
  const post = async () => await app.fetch(new Request('http://function/', { method: 'POST' }))
  const [first, second] = [post(), post()]
  await vi.waitFor(() => expect(ends).toHaveLength(2))
  expect((await post()).status).toBe(202)
  // The second permits none, also after the first has ended.
  ends[0]?.resolve()
  expect((await first).status).toBe(204)
  expect((await post()).status).toBe(202)
  ends[1]?.resolve()
  expect((await second).status).toBe(204)
})

test('a caller that repeats a failed call at once is slowed down, and the log has a few lines a minute', async () => {
  vi.useFakeTimers()
  const { post, lines } = queueFunction(async () => {
    throw new TransientError('connect ECONNREFUSED 127.0.0.1:3306')
  })
  expect(await repeatForAMinute(() => post(messages('one')))).toBeLessThan(60)
  vi.useRealTimers()
  expect(lines.filter(({ level }) => level !== 'info').length).toBeLessThan(15)
})

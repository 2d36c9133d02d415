import { setTimeout as sleep } from 'node:timers/promises'
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import type { SQSRecord } from 'aws-lambda'
import { startFauxqs } from 'fauxqs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Invocation, QueueHandler } from '../../../shared/runtime/handler.ts'
import { type PumpOptions, pumpQueue } from '../../../shared/runtime/pump.ts'
import { startGateway } from '../../support/runtime/gateway.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'
import { LONGEST_WAIT_SECONDS, until } from '../../support/waiting.ts'

let server: Awaited<ReturnType<typeof startFauxqs>>
let sqs: SQSClient

const clientFor = (port: number) =>
  new SQSClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'eu-south-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  })

beforeAll(async () => {
  server = await startFauxqs({ port: 0, logger: false })
  sqs = clientFor(server.port)
})

afterAll(async () => {
  sqs.destroy()
  await server.stop()
})

let queues = 0
async function queue(attributes: Record<string, string> = {}): Promise<string> {
  const { QueueUrl = '' } = await sqs.send(
    new CreateQueueCommand({ QueueName: `queue-${++queues}`, Attributes: attributes }),
  )
  return QueueUrl
}

/** A queue that dead-letters after `maxReceiveCount` deliveries. */
async function queueWithDeadLetters(maxReceiveCount: number) {
  const dead = await queue()
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: dead, AttributeNames: ['QueueArn'] }),
  )
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount })
  return { url: await queue({ RedrivePolicy }), dead }
}

async function send(QueueUrl: string, bodies: readonly string[]) {
  for (let start = 0; start < bodies.length; start += 10) {
    const Entries = bodies
      .slice(start, start + 10)
      .map((MessageBody, index) => ({ Id: String(index), MessageBody }))
    await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }))
  }
}

async function waiting(QueueUrl: string) {
  const AttributeNames = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...AttributeNames] }),
  )
  return {
    visible: Number(Attributes?.ApproximateNumberOfMessages),
    hidden: Number(Attributes?.ApproximateNumberOfMessagesNotVisible),
  }
}

const success = { batchItemFailures: [] }

/** Runs a pump until `stop` is called, which resolves to its summary. */
function pump(
  queueUrl: string,
  work: (record: SQSRecord, invocation: Invocation) => Promise<unknown>,
  options: Partial<PumpOptions> = {},
) {
  const abort = new AbortController()
  const handler: QueueHandler = async (event, invocation) => {
    for (const record of event.Records) await work(record, invocation)
    return success
  }
  const { log, lines } = recordingLog()
  const usual = {
    visibilitySeconds: 600,
    waitSeconds: 1,
    graceSeconds: LONGEST_WAIT_SECONDS,
    random: () => 0,
  }
  const running = pumpQueue({ sqs, queueUrl, handler, log, signal: abort.signal, ...usual, ...options })
  const stop = () => {
    abort.abort()
    return running
  }
  return { stop, lines }
}

test.concurrent('while all messages fail, as without a database, they are received more and more slowly', async () => {
  const url = await queue()
  const count = 1_000
  await send(
    url,
    Array.from({ length: count }, (_, index) => `message ${index}`),
  )
  let attempts = 0
  let isDown = true
  const { stop } = pump(
    url,
    async () => {
      attempts++
      if (isDown) throw new Error('connect ECONNREFUSED')
    },
    { retrySeconds: 1, maxRetrySeconds: 1 },
  )
  await sleep(3_000)
  // Without a rest, hundreds of them a second.
  expect(attempts).toBeLessThan(300)
  isDown = false
  await until(async () => (await waiting(url)).visible === 0)
  expect((await stop()).succeeded).toBe(count)
})

test.concurrent('every message is passed on once, as by Lambda, and is then deleted from the queue', async () => {
  const url = await queue()
  const bodies = Array.from({ length: 250 }, (_, index) => `message ${index}`)
  await send(url, bodies)
  const seen: SQSRecord[] = []
  const { stop } = pump(url, async (record) => seen.push(record))
  await until(() => seen.length >= 250)
  expect(await stop()).toEqual({ received: 250, succeeded: 250, failed: 0 })
  expect(seen.map((record) => record.body).sort()).toEqual([...bodies].sort())
  expect(seen[0]).toMatchObject({
    eventSource: 'aws:sqs',
    awsRegion: 'eu-south-1',
    attributes: { ApproximateReceiveCount: '1' },
  })
  expect(seen[0]?.eventSourceARN).toMatch(/^arn:aws:sqs:eu-south-1:\d+:queue-\d+$/)
  expect(await waiting(url)).toEqual({ visible: 0, hidden: 0 })
})

test.concurrent('a quick message is acknowledged while a slow one of the same receive is still in progress', async () => {
  const url = await queue()
  await send(url, ['slow', ...Array.from({ length: 9 }, () => 'quick')])
  const slow = Promise.withResolvers<void>()
  const { stop } = pump(url, async (record) => (record.body === 'slow' ? slow.promise : undefined), {
    pollers: 1,
  })
  await until(async () => (await waiting(url)).hidden === 1)
  expect((await waiting(url)).visible).toBe(0)
  slow.resolve()
  expect(await stop()).toMatchObject({ succeeded: 10 })
  expect(await waiting(url)).toEqual({ visible: 0, hidden: 0 })
})

test.concurrent('no more messages are in progress at once than the concurrency allows', async () => {
  const url = await queue()
  await send(url, Array.from({ length: 15 }, String))
  const three = Promise.withResolvers<void>()
  let atWork = 0
  let most = 0
  let done = 0
  const { stop } = pump(
    url,
    async () => {
      most = Math.max(most, ++atWork)
      if (atWork === 3) three.resolve()
      await three.promise
      await new Promise((resolve) => setTimeout(resolve, 100))
      atWork--
      done++
    },
    { concurrency: 3, pollers: 2 },
  )
  await until(() => done === 15)
  await stop()
  expect(most).toBe(3)
})

test.concurrent('a message that fails comes back later, and is dead-lettered in the end', async () => {
  const { url, dead } = await queueWithDeadLetters(3)
  await send(url, ['poison', 'good'])
  const attempts: string[] = []
  const work = async (record: SQSRecord) => {
    if (record.body === 'good') return
    attempts.push(record.attributes.ApproximateReceiveCount)
    throw new Error('no such bank')
  }
  const { stop, lines } = pump(url, work, { retrySeconds: 1, maxRetrySeconds: 1 })
  await until(async () => (await waiting(dead)).visible === 1)
  expect(await stop()).toEqual({ received: 4, succeeded: 1, failed: 3 })
  expect(attempts).toEqual(['1', '2', '3'])
  const failures = lines.filter((line) => line.event === 'message-failed')
  expect(failures.map((line) => line.attempt)).toEqual([1, 2, 3])
  expect(failures[0]).toMatchObject({ level: 'error', error: { message: 'no such bank' } })
})

test.concurrent('a handler that reports the message as failed has it delivered again', async () => {
  const url = await queue()
  await send(url, ['twice'])
  let calls = 0
  const handler: QueueHandler = async (event) => ({
    batchItemFailures:
      ++calls === 1 ? event.Records.map((record) => ({ itemIdentifier: record.messageId })) : [],
  })
  const { stop } = pump(url, async () => {}, { handler, retrySeconds: 0 })
  await until(() => calls === 2)
  expect(await stop()).toEqual({ received: 2, succeeded: 1, failed: 1 })
})

test.concurrent('a message stays hidden for as long as its handler works', async () => {
  const url = await queue()
  await send(url, ['long'])
  let calls = 0
  let done = 0
  // A sign of life is due every 3 s, and the message comes back when one is 6 s late.
  const { stop } = pump(
    url,
    async () => {
      calls++
      await new Promise((resolve) => setTimeout(resolve, 12_000))
      done++
    },
    { visibilitySeconds: 9 },
  )
  await until(() => done > 0)
  expect(await stop()).toEqual({ received: 1, succeeded: 1, failed: 0 })
  expect(calls).toBe(1)
})

test.concurrent('a handler past its time limit is aborted, given up, and its message delivered again', async () => {
  const url = await queue()
  await send(url, ['stuck'])
  const signals: AbortSignal[] = []
  const work = (_: SQSRecord, { signal }: Invocation) => {
    signals.push(signal)
    return signals.length === 1 ? new Promise(() => {}) : Promise.resolve()
  }
  const { stop, lines } = pump(url, work, { timeoutSeconds: 0.1, retrySeconds: 0 })
  await until(() => signals.length === 2)
  expect(await stop()).toEqual({ received: 2, succeeded: 1, failed: 1 })
  expect(signals[0]?.aborted).toBe(true)
  expect(lines.find((line) => line.event === 'message-failed')).toMatchObject({
    error: { message: 'not finished within 0.1 s' },
  })
})

test.concurrent('stopping finishes messages in progress and receives no new ones', async () => {
  const url = await queue()
  await send(url, Array.from({ length: 20 }, String))
  const released = Promise.withResolvers<void>()
  let started = 0
  const work = async () => {
    started++
    await released.promise
  }
  const { stop } = pump(url, work, { concurrency: 5 })
  await until(() => started === 5)
  const stopped = stop()
  released.resolve()
  expect(await stopped).toEqual({ received: 5, succeeded: 5, failed: 0 })
  expect((await waiting(url)).visible).toBe(15)
})

test.concurrent('what does not finish within the grace period is given back at once', async () => {
  const url = await queue()
  await send(url, ['endless'])
  let begun = false
  let aborted = false
  const work = (_: SQSRecord, { signal }: Invocation) =>
    new Promise((_resolve, reject) => {
      begun = true
      signal.addEventListener('abort', () => {
        aborted = true
        reject(signal.reason)
      })
    })
  const { stop } = pump(url, work, { graceSeconds: 0.1 })
  await until(() => begun)
  expect(await stop()).toEqual({ received: 1, succeeded: 0, failed: 1 })
  expect(aborted).toBe(true)
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: url }))
  expect(Messages.map((message) => message.Body)).toEqual(['endless'])
})

test.concurrent('a queue that fails and recovers is pumped on without intervention', async () => {
  // The address stays while the service behind it is another: the port of one that was stopped may be
  // somebody else's by then.
  let other = await startFauxqs({ port: 0, logger: false })
  const gateway = await startGateway(other.port)
  const client = clientFor(gateway.port)
  const create = async () => (await client.send(new CreateQueueCommand({ QueueName: 'runs' }))).QueueUrl ?? ''
  const url = (await create()).replace(/^http:\/\/[^/]+/, `http://127.0.0.1:${gateway.port}`)
  const seen: string[] = []
  const { stop, lines } = pump(url, async (record) => seen.push(record.body), { sqs: client })
  gateway.lead(null)
  await other.stop()
  await until(() => lines.some((line) => line.event === 'queue-does-not-answer'))
  other = await startFauxqs({ port: 0, logger: false })
  gateway.lead(other.port)
  await create()
  await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'after the outage' }))
  await until(() => seen.length === 1)
  expect(await stop()).toMatchObject({ succeeded: 1 })
  expect(lines.some((line) => line.event === 'queue-answers-again')).toBe(true)
  client.destroy()
  await gateway.close()
  await other.stop()
})

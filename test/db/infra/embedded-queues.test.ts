import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  ChangeMessageVisibilityCommand,
  GetQueueAttributesCommand,
  type Message,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Embedded, startEmbedded } from '../../../infra/local/services/embedded/embedded.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { type TestQueue, testQueue } from '../../support/infra/clients.ts'

const queues = ['redriven', 'returned', 'kept', 'guarded'].map((name) => ({
  name,
  visibilitySeconds: 1,
  maxReceiveCount: 2,
}))
let dataFolder: string
let embedded: Embedded

beforeAll(async () => {
  dataFolder = temporaryFolder()
  embedded = await startEmbedded({ dataFolder, queues })
})
afterAll(async () => {
  await embedded?.stop()
  rmSync(dataFolder, { recursive: true, force: true })
})

/** The next message, however long it takes; an attempt waits as long as SQS allows. */
async function next(queue: TestQueue): Promise<Message> {
  for (;;) {
    const [message] = await queue.receive({ waitSeconds: 20 })
    if (message !== undefined) return message
  }
}

async function queueWith(name: string, body: string) {
  const queue = await testQueue(embedded.connection, name)
  await queue.client.send(new SendMessageCommand({ QueueUrl: queue.url, MessageBody: body }))
  return queue
}

test('a message that is received too often moves to the dead-letter queue', async () => {
  const queue = await queueWith('redriven', 'poison')
  for (const count of ['1', '2']) {
    const message = await next(queue)
    expect(message.Attributes?.ApproximateReceiveCount).toBe(count)
  }
  const deadLetters = await testQueue(embedded.connection, 'redriven-dead')
  let dead: readonly Message[] = []
  while (dead.length === 0) {
    expect(await queue.receive({ waitSeconds: 1 })).toEqual([])
    dead = await deadLetters.receive()
  }
  expect(dead.map(({ Body }) => Body)).toEqual(['poison'])
})

test('a message that is returned (visibility 0) is available again immediately', async () => {
  const queue = await queueWith('returned', 'again')
  const [message] = await queue.receive({ visibilitySeconds: 600 })
  await queue.client.send(
    new ChangeMessageVisibilityCommand({
      QueueUrl: queue.url,
      ReceiptHandle: message?.ReceiptHandle,
      VisibilityTimeout: 0,
    }),
  )
  expect((await queue.receive()).map(({ Body }) => Body)).toEqual(['again'])
})

test('messages survive a kill -9, with their receive counts, and queues keep their settings', async () => {
  const queue = await queueWith('kept', 'precious')
  await queue.receive({ visibilitySeconds: 0 })
  process.kill(embedded.pid, 'SIGKILL')
  await embedded.ended
  embedded = await startEmbedded({ dataFolder, queues })
  const again = await testQueue(embedded.connection, 'kept')
  expect(await next(again)).toMatchObject({ Body: 'precious', Attributes: { ApproximateReceiveCount: '2' } })
  const { Attributes } = await again.client.send(
    new GetQueueAttributesCommand({ QueueUrl: again.url, AttributeNames: ['All'] }),
  )
  expect(Attributes).toMatchObject({
    VisibilityTimeout: '1',
    RedrivePolicy: expect.stringContaining('kept-dead'),
  })
})

test('requests without the access key are refused', async () => {
  const { endpoint, region } = embedded.connection.sqs
  const stranger = new SQSClient({
    endpoint,
    region,
    credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'x' },
    maxAttempts: 1,
  })
  const queue = await testQueue(embedded.connection, 'guarded')
  await expect(
    stranger.send(new SendMessageCommand({ QueueUrl: queue.url, MessageBody: 'x' })),
  ).rejects.toMatchObject({
    name: expect.stringMatching(/InvalidClientTokenId/),
  })
  for (const path of ['/', '/_fauxqs/queues', '/bucket/key'])
    expect((await fetch(endpoint + path)).status).toBe(403)
})

test('credentials are neither in process arguments nor in files that others can read', () => {
  for (const name of ['credentials.json', 'settings.json', 'connection.json'])
    expect(statSync(join(dataFolder, 'embedded', name)).mode & 0o777).toBe(0o600)
})

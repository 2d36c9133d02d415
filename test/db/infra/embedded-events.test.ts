import { rmSync } from 'node:fs'
import {
  CopyObjectCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  type Event,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { expect, test } from 'vitest'
import { controlEmbedded, queueArn, startEmbedded } from '../../../infra/local/services/embedded/embedded.ts'
import { startTestStore, temporaryFolder } from '../../../infra/local/testing.ts'
import { readBucketNotifications } from '../../../shared/storage/bucket-notifications.ts'
import { signal } from '../../support/context.ts'
import { configureEvents, type EventsWanted, s3Client, testQueue } from '../../support/infra/clients.ts'

const QUEUES = [
  { name: 'runs', visibilitySeconds: 3600, maxReceiveCount: 3 },
  { name: 'pictures', visibilitySeconds: 3600, maxReceiveCount: 3 },
]

type RuleOfQueue = Omit<EventsWanted, 'arn'> & { readonly queue: string }

async function storeWith(rules: readonly RuleOfQueue[]) {
  const store = await startTestStore({ queues: QUEUES })
  const queue = (name: string) => testQueue(store.connection, `${store.queuePrefix}${name}`)
  const s3 = s3Client(store.connection)
  const wanted = rules.map((rule) => ({ ...rule, arn: queueArn(`${store.queuePrefix}${rule.queue}`) }))
  await configureEvents(s3, store.bucket, wanted)
  return { ...store, s3, runs: await queue('runs'), pictures: await queue('pictures') }
}

test('when a PUT is answered, its event is in the queue, in the format of AWS', async () => {
  const { s3, bucket, runs } = await storeWith([{ queue: 'runs' }])
  const before = Date.now()
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: 'LNGS/run 1+2%ü.mid.gz', Body: 'hello' }))
  const [record, ...rest] = await runs.records() // without waiting: it must be there already
  expect(rest).toEqual([])
  expect(record).toEqual({
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    awsRegion: 'us-east-1',
    eventTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    eventName: 'ObjectCreated:Put',
    userIdentity: { principalId: expect.any(String) },
    requestParameters: { sourceIPAddress: '127.0.0.1' },
    responseElements: { 'x-amz-request-id': expect.any(String), 'x-amz-id-2': expect.any(String) },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId: expect.any(String),
      bucket: {
        name: bucket,
        ownerIdentity: { principalId: expect.any(String) },
        arn: `arn:aws:s3:::${bucket}`,
      },
      object: {
        key: 'LNGS/run+1%2B2%25%C3%BC.mid.gz',
        size: 5,
        eTag: '5d41402abc4b2a76b9719d911017c592',
        sequencer: expect.stringMatching(/^[0-9A-F]{16,}$/),
      },
    },
  })
  expect(Date.parse(record?.eventTime ?? '')).toBeGreaterThanOrEqual(before)
})

test('a multipart upload makes one event, at its completion, with the ETag of the whole', async () => {
  const { s3, bucket, runs } = await storeWith([{ queue: 'runs' }])
  const { ETag } = await new Upload({
    client: s3,
    params: { Bucket: bucket, Key: 'big', Body: Buffer.alloc(11_000_000, 7) },
  }).done()
  const records = await runs.records()
  expect(
    records.map(({ eventName, s3: { object } }) => [eventName, object.key, object.size, `"${object.eTag}"`]),
  ).toEqual([['ObjectCreated:CompleteMultipartUpload', 'big', 11_000_000, ETag]])
  expect(ETag).toMatch(/^"[0-9a-f]{32}-3"$/)
})

test('a copy makes its own event, with size and ETag', async () => {
  const { s3, bucket, runs } = await storeWith([{ queue: 'runs', events: ['s3:ObjectCreated:Copy'] }])
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: 'from', Body: 'hello' }))
  await s3.send(new CopyObjectCommand({ Bucket: bucket, Key: 'to', CopySource: `${bucket}/from` }))
  const records = await runs.records()
  expect(
    records.map(({ eventName, s3: { object } }) => [eventName, object.key, object.size, object.eTag]),
  ).toEqual([['ObjectCreated:Copy', 'to', 5, '5d41402abc4b2a76b9719d911017c592']])
})

test('rules choose the queue by prefix, suffix and kind of event', async () => {
  const { s3, bucket, runs, pictures } = await storeWith([
    { queue: 'runs', prefix: 'LNGS/', suffix: '.mid.gz' },
    { queue: 'pictures', suffix: '.png' },
    { queue: 'pictures', suffix: '.png', events: ['s3:ObjectRemoved:*'] },
  ])
  for (const Key of ['LNGS/a.mid.gz', 'LNGS/a.png', 'LNF/a.mid.gz', 'LNGS/a.mid.gz.part'])
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'x' }))
  await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'LNGS/a.png' }))
  await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'LNGS/a.mid.gz' }))
  expect((await runs.records()).map(({ s3: { object } }) => object.key)).toEqual(['LNGS/a.mid.gz'])
  expect(
    (await pictures.records()).map(({ eventName, s3: { object } }) => [eventName, object.key, object.size]),
  ).toEqual([
    ['ObjectCreated:Put', 'LNGS/a.png', 1],
    ['ObjectRemoved:Delete', 'LNGS/a.png', undefined],
  ])
})

test('overwrites of one key have increasing sequencers, also within one millisecond', async () => {
  const { s3, bucket, runs } = await storeWith([{ queue: 'runs' }])
  for (let i = 0; i < 30; i += 1)
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: 'same', Body: String(i) }))
  const sequencers = (await runs.records()).map(({ s3: { object } }) => object.sequencer)
  expect(sequencers).toHaveLength(30)
  expect(sequencers).toEqual([...new Set(sequencers)].sort())
})

test('a refused PUT makes no event', async () => {
  const { s3, bucket, runs } = await storeWith([{ queue: 'runs' }])
  const bad = new PutObjectCommand({ Bucket: bucket, Key: 'bad', Body: 'x', ChecksumCRC32: 'AAAAAA==' })
  await expect(s3.send(bad)).rejects.toMatchObject({ name: 'BadDigest' })
  expect(await runs.records()).toEqual([])
})

test('with notifications off, from the start or later, objects are stored and no event is sent', async () => {
  const queues = QUEUES.slice(0, 1)
  const dataFolder = temporaryFolder()
  const embedded = await startEmbedded({
    dataFolder,
    buckets: ['cygno-data'],
    queues,
    notifications: false,
    keepMessages: false,
  })
  try {
    const [s3, runs] = [s3Client(embedded.connection), await testQueue(embedded.connection, 'runs')]
    await configureEvents(s3, 'cygno-data', [{ arn: queueArn('runs') }])
    const put = (Key: string) => s3.send(new PutObjectCommand({ Bucket: 'cygno-data', Key, Body: 'x' }))
    await put('one')
    expect(await embedded.change({ notifications: true })).toMatchObject({
      notifications: true,
      sent: 0,
      suppressed: 1,
    })
    await put('two')
    await embedded.change({ notifications: false })
    await put('three')
    expect((await runs.records()).map(({ s3: { object } }) => object.key)).toEqual(['two'])
    expect(await embedded.state()).toMatchObject({ notifications: false, sent: 1, suppressed: 2, failed: 0 })
    const stranger = { ...embedded.connection.control, token: 'x'.repeat(32) }
    await expect(controlEmbedded(stranger, { change: { notifications: true } })).rejects.toThrow(/401/)
  } finally {
    await embedded.stop()
    rmSync(dataFolder, { recursive: true, force: true })
  }
})

test('an event for a missing queue is counted as failed, and the PUT succeeds', async () => {
  // Private services: the shared ones also count the events of other tests.
  const dataFolder = temporaryFolder()
  const embedded = await startEmbedded({ dataFolder, buckets: ['cygno-data'], keepMessages: false })
  try {
    const s3 = s3Client(embedded.connection)
    await configureEvents(s3, 'cygno-data', [{ arn: queueArn('nowhere') }])
    await s3.send(new PutObjectCommand({ Bucket: 'cygno-data', Key: 'k', Body: 'x' }))
    expect(await embedded.state()).toMatchObject({ failed: 1, sent: 0 })
  } finally {
    await embedded.stop()
    rmSync(dataFolder, { recursive: true, force: true })
  }
})

test('the configuration of a bucket survives a kill, and is deleted with the bucket', async () => {
  const dataFolder = temporaryFolder()
  const settings = { dataFolder, queues: QUEUES, buckets: ['cygno-data'], keepMessages: false }
  let embedded = await startEmbedded(settings)
  try {
    await configureEvents(s3Client(embedded.connection), 'cygno-data', [{ arn: queueArn('runs') }])
    process.kill(embedded.pid, 'SIGKILL')
    await embedded.ended
    embedded = await startEmbedded(settings)
    const s3 = s3Client(embedded.connection)
    await s3.send(new PutObjectCommand({ Bucket: 'cygno-data', Key: 'k', Body: 'x' }))
    expect(await embedded.state()).toMatchObject({ sent: 1, suppressed: 0 })
    await s3.send(new DeleteObjectCommand({ Bucket: 'cygno-data', Key: 'k' }))
    await s3.send(new DeleteBucketCommand({ Bucket: 'cygno-data' }))
    await embedded.change({ buckets: ['cygno-data'] })
    await s3.send(new PutObjectCommand({ Bucket: 'cygno-data', Key: 'k', Body: 'x' }))
    expect(await embedded.state()).toMatchObject({ sent: 1, suppressed: 2 })
  } finally {
    await embedded.stop()
    rmSync(dataFolder, { recursive: true, force: true })
  }
})

test.each([
  ['a topic as target', 'arn:aws:sns:us-east-1:000000000000:runs', 's3:ObjectCreated:*', 'InvalidArgument'],
  ['a queue of another account', 'arn:aws:sqs:us-east-1:1:runs', 's3:ObjectCreated:*', 'InvalidArgument'],
  ['an event that there is not', queueArn('runs'), 'created', 'InvalidArgument'],
])('%s is refused, and the configuration is kept', async (_, arn, event, name) => {
  const { s3, bucket } = await storeWith([{ queue: 'runs' }])
  const before = await readBucketNotifications(s3, bucket, signal)
  await expect(configureEvents(s3, bucket, [{ arn, events: [event as Event] }])).rejects.toMatchObject({
    name,
  })
  expect(await readBucketNotifications(s3, bucket, signal)).toEqual(before)
  expect(before).toHaveLength(1)
})

import {
  GetBucketNotificationConfigurationCommand,
  type NotificationConfiguration,
  PutBucketNotificationConfigurationCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { describe, expect, test } from 'vitest'
import {
  ARRIVAL_EVENTS,
  applyBucketNotifications,
  planBucketNotifications,
  readBucketNotifications,
} from '../../../shared/storage/bucket-notifications.ts'

const MINIO = 'arn:minio:sqs::CYGNET:webhook'
const AWS = 'arn:aws:sqs:eu-south-1:123456789012:runs'
const CEPH = 'arn:aws:sns:default::cygnet'
const signal = new AbortController().signal

/** A store that keeps one configuration, hands it back as `show` makes it, and counts what is written. */
function store(
  configuration: NotificationConfiguration = {},
  show = (kept: NotificationConfiguration) => kept,
) {
  const puts: NotificationConfiguration[] = []
  const send = async (command: unknown) => {
    if (command instanceof GetBucketNotificationConfigurationCommand)
      return { $metadata: {}, ...structuredClone(show(configuration)) }
    if (!(command instanceof PutBucketNotificationConfigurationCommand))
      throw new Error('not a call that this store knows')
    configuration = command.input.NotificationConfiguration ?? {}
    puts.push(configuration)
    return { $metadata: {} }
  }
  return { s3: { send } as unknown as S3Client, puts }
}

const foreign: NotificationConfiguration = {
  QueueConfigurations: [
    {
      Id: 'somebody',
      QueueArn: 'arn:aws:sqs:eu-south-1:123456789012:theirs',
      Events: ['s3:ObjectRemoved:*'],
    },
  ],
  TopicConfigurations: [
    { Id: 'else', TopicArn: 'arn:aws:sns:eu-south-1:123456789012:theirs', Events: ['s3:ObjectTagging:*'] },
  ],
  LambdaFunctionConfigurations: [
    {
      LambdaFunctionArn: 'arn:aws:lambda:eu-south-1:123456789012:function:f',
      Events: ['s3:ObjectCreated:*'],
    },
  ],
  EventBridgeConfiguration: {},
}

describe('what is applied', () => {
  test.each([
    [MINIO, 'QueueConfigurations', 'QueueArn'],
    [AWS, 'QueueConfigurations', 'QueueArn'],
    [CEPH, 'TopicConfigurations', 'TopicArn'],
  ] as const)('%s: exactly Put, CompleteMultipartUpload and Copy, never a star', async (arn, list, field) => {
    const { s3, puts } = store()
    const { changed, after } = await applyBucketNotifications(s3, { bucket: 'cygno-data', arn }, signal)
    expect(changed).toBe(true)
    const [only, ...more] = puts[0]?.[list] ?? []
    expect(more).toEqual([])
    expect(only).toEqual({
      Id: expect.stringMatching(/^cygnet-[0-9a-f]{12}$/),
      [field]: arn,
      Events: ['s3:ObjectCreated:Put', 's3:ObjectCreated:CompleteMultipartUpload', 's3:ObjectCreated:Copy'],
    })
    expect(after).toEqual([{ id: only?.Id, ours: true, arn, events: ARRIVAL_EVENTS, prefix: '', suffix: '' }])
  })

  test('a rule for each pair of prefix and suffix', async () => {
    const { s3 } = store()
    const wanted = {
      bucket: 'b',
      arn: MINIO,
      prefixes: ['LNGS/', 'MAN/', 'LNGS/'],
      suffixes: ['.mid', '.mid.gz'],
    }
    const { after } = await applyBucketNotifications(s3, wanted, signal)
    expect(after.map(({ prefix, suffix }) => `${prefix}*${suffix}`)).toEqual([
      'LNGS/*.mid',
      'LNGS/*.mid.gz',
      'MAN/*.mid',
      'MAN/*.mid.gz',
    ])
    expect(new Set(after.map(({ id }) => id)).size).toBe(4)
  })
})

describe('applied again', () => {
  test('nothing is written', async () => {
    const { s3, puts } = store()
    const wanted = { bucket: 'b', arn: AWS, prefixes: ['LNGS/'] }
    const { after } = await applyBucketNotifications(s3, wanted, signal)
    expect(await applyBucketNotifications(s3, wanted, signal)).toEqual({
      changed: false,
      refreshed: false,
      before: after,
      after,
    })
    expect(puts).toHaveLength(1)
  })

  test('nor where the store shows events in another order and filter names in capitals, as AWS does', async () => {
    const { s3, puts } = store({}, (kept) => ({
      ...kept,
      QueueConfigurations: kept.QueueConfigurations?.toReversed().map((queue) => ({
        ...queue,
        Events: queue.Events?.toReversed(),
        Filter: {
          Key: {
            FilterRules: queue.Filter?.Key?.FilterRules?.map((rule) => ({
              ...rule,
              Name: 'Prefix' as 'prefix',
            })),
          },
        },
      })),
    }))
    const wanted = { bucket: 'b', arn: AWS, prefixes: ['LNGS/', 'LNF/'] }
    await applyBucketNotifications(s3, wanted, signal)
    expect((await applyBucketNotifications(s3, wanted, signal)).changed).toBe(false)
    expect(puts).toHaveLength(1)
  })

  test('what others configured stays, what we configured before goes', async () => {
    const { s3, puts } = store(foreign)
    await applyBucketNotifications(s3, { bucket: 'b', arn: AWS }, signal)
    const { before, after } = await applyBucketNotifications(s3, { bucket: 'b', arn: CEPH }, signal)
    expect(before.filter((rule) => rule.ours).map((rule) => rule.arn)).toEqual([AWS])
    expect(after.filter((rule) => rule.ours).map((rule) => rule.arn)).toEqual([CEPH])
    expect(puts[1]).toMatchObject({
      QueueConfigurations: foreign.QueueConfigurations,
      LambdaFunctionConfigurations: foreign.LambdaFunctionConfigurations,
      EventBridgeConfiguration: {},
    })
    expect(puts[1]?.TopicConfigurations?.[0]).toEqual(foreign.TopicConfigurations?.[0])
  })
})

test('a plan changes nothing and shows the same as applying does', async () => {
  const { s3, puts } = store(foreign)
  const plan = await planBucketNotifications(s3, { bucket: 'b', arn: MINIO }, signal)
  expect(puts).toEqual([])
  const { before, after } = await applyBucketNotifications(s3, { bucket: 'b', arn: MINIO }, signal)
  expect(plan).toMatchObject({ changed: true, before, after })
})

test('a store that answers 200 and keeps nothing is found out', async () => {
  const { s3 } = store({}, () => ({}))
  await expect(applyBucketNotifications(s3, { bucket: 'b', arn: AWS }, signal)).rejects.toThrow(
    'but returns others',
  )
})

test.each([
  '',
  'runs',
  'arn:aws:lambda:eu-south-1:123456789012:function:f',
  'arn:aws:sqs',
  'https://host/queue',
])('%j is no target', async (arn) => {
  const { s3, puts } = store()
  await expect(applyBucketNotifications(s3, { bucket: 'b', arn }, signal)).rejects.toThrow(
    'is not a target for notifications',
  )
  expect(puts).toEqual([])
})

test('a bucket without notifications has no rules', async () => {
  expect(await readBucketNotifications(store().s3, 'b', signal)).toEqual([])
})

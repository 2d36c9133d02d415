/**
 * A bucket's notification configuration: where the store sends arrivals. Applied by name and idempotently;
 * configurations of others on the bucket are not changed.
 *
 * The same call serves three kinds of target, distinguished by their ARN: an SQS queue of AWS, a webhook of
 * MinIO (`arn:minio:sqs::NAME:webhook`, named in the server's settings), a topic of Ceph or SNS
 * (`arn:aws:sns:ZONEGROUP::TOPIC`).
 */
import { createHash } from 'node:crypto'
import {
  type Event,
  GetBucketNotificationConfigurationCommand,
  type NotificationConfiguration,
  PutBucketNotificationConfigurationCommand,
  type QueueConfiguration,
  type S3Client,
  type TopicConfiguration,
} from '@aws-sdk/client-s3'
import { InvalidInputError, TransientError } from '../errors.ts'

/** By name, never `s3:ObjectCreated:*`: on MinIO that includes changes of tags and retention. */
export const ARRIVAL_EVENTS: readonly Event[] = [
  's3:ObjectCreated:Put',
  's3:ObjectCreated:CompleteMultipartUpload',
  's3:ObjectCreated:Copy',
]

/** Ids with this prefix are ours; all others are left unchanged. */
const ID_PREFIX = 'cygnet-'

export interface NotificationRequest {
  readonly bucket: string
  /** The target of the events. */
  readonly arn: string
  /** Keys must begin with one of these; empty means any. */
  readonly prefixes?: readonly string[]
  /** Keys must end with one of these; empty means any. */
  readonly suffixes?: readonly string[]
}

/** One configuration of the bucket, of any kind. */
export interface NotificationRule {
  readonly id: string
  readonly ours: boolean
  readonly arn: string
  readonly events: readonly string[]
  readonly prefix: string
  readonly suffix: string
}

export interface NotificationPlan {
  readonly changed: boolean
  readonly before: readonly NotificationRule[]
  readonly after: readonly NotificationRule[]
  /** Sent to the store when `changed`. */
  readonly configuration: NotificationConfiguration
}

/** Reads the bucket's configuration as rules. */
export async function readBucketNotifications(
  s3: S3Client,
  bucket: string,
  signal: AbortSignal,
): Promise<readonly NotificationRule[]> {
  return rulesOf(await read(s3, bucket, signal))
}

/**
 * Returns what `applyBucketNotifications` would do; changes nothing.
 * @throws InvalidInputError when the ARN is neither that of a queue nor of a topic.
 */
export async function planBucketNotifications(
  s3: S3Client,
  wanted: NotificationRequest,
  signal: AbortSignal,
): Promise<NotificationPlan> {
  const current = await read(s3, wanted.bucket, signal)
  const kind = targetKind(wanted.arn)
  const wantedRules = requestedRules(wanted)
  const queues = foreign(current.QueueConfigurations)
  const topics = foreign(current.TopicConfigurations)
  const configuration: NotificationConfiguration = {
    ...current,
    QueueConfigurations: kind === 'queue' ? [...queues, ...wantedRules.map(queueConfiguration)] : queues,
    TopicConfigurations: kind === 'topic' ? [...topics, ...wantedRules.map(topicConfiguration)] : topics,
  }
  const before = rulesOf(current)
  const after = rulesOf(configuration)
  return { changed: fingerprint(before) !== fingerprint(after), before, after, configuration }
}

/**
 * Makes the bucket send its arrivals to the target, replacing our earlier rules.
 * @returns the rules before and, as read back from the store, after.
 * @throws InvalidInputError for an invalid ARN; TransientError when the store accepted the configuration but
 * returns another one.
 */
export async function applyBucketNotifications(
  s3: S3Client,
  wanted: NotificationRequest,
  signal: AbortSignal,
): Promise<{
  readonly changed: boolean
  readonly before: readonly NotificationRule[]
  readonly after: readonly NotificationRule[]
}> {
  const plan = await planBucketNotifications(s3, wanted, signal)
  if (!plan.changed) return { changed: false, before: plan.before, after: plan.before }
  const { configuration: NotificationConfiguration } = plan
  await s3.send(
    new PutBucketNotificationConfigurationCommand({ Bucket: wanted.bucket, NotificationConfiguration }),
    {
      abortSignal: signal,
    },
  )
  const after = await readBucketNotifications(s3, wanted.bucket, signal)
  // Some stores answer 200 and do nothing.
  if (fingerprint(after) !== fingerprint(plan.after))
    throw new TransientError(
      `the store accepted the notifications of bucket ${wanted.bucket} but returns others`,
      {
        rules: after.length,
      },
    )
  return { changed: true, before: plan.before, after }
}

async function read(s3: S3Client, bucket: string, signal: AbortSignal): Promise<NotificationConfiguration> {
  const { $metadata, ...configuration } = await s3.send(
    new GetBucketNotificationConfigurationCommand({ Bucket: bucket }),
    {
      abortSignal: signal,
    },
  )
  return configuration
}

function targetKind(arn: string): 'queue' | 'topic' {
  const [, service] = /^arn:[^:]+:(sqs|sns):[^:]*:[^:]*:[^:]+$/.exec(arn) ?? []
  if (service === 'sqs') return 'queue'
  if (service === 'sns') return 'topic'
  throw new InvalidInputError(
    `"${arn}" is not a target for notifications: expected arn:aws:sqs:REGION:ACCOUNT:QUEUE, arn:minio:sqs::NAME:webhook or arn:aws:sns:ZONEGROUP::TOPIC`,
  )
}

/**
 * A filter has one prefix and one suffix, so there is one rule per pair. The id is derived from the content.
 */
function requestedRules({
  arn,
  prefixes = [],
  suffixes = [],
}: NotificationRequest): readonly NotificationRule[] {
  const distinct = (texts: readonly string[]) => (texts.length === 0 ? [''] : [...new Set(texts)])
  return distinct(prefixes).flatMap((prefix) =>
    distinct(suffixes).map((suffix) => {
      const id =
        ID_PREFIX +
        createHash('sha256')
          .update(JSON.stringify([arn, prefix, suffix]))
          .digest('hex')
          .slice(0, 12)
      return { id, ours: true, arn, events: ARRIVAL_EVENTS, prefix, suffix }
    }),
  )
}

const isOurs = (id: string | undefined) => id?.startsWith(ID_PREFIX) === true
const foreign = <T extends { readonly Id?: string | undefined }>(configurations: readonly T[] = []) =>
  configurations.filter(({ Id }) => !isOurs(Id))

const queueConfiguration = (rule: NotificationRule): QueueConfiguration => ({
  ...common(rule),
  QueueArn: rule.arn,
})
const topicConfiguration = (rule: NotificationRule): TopicConfiguration => ({
  ...common(rule),
  TopicArn: rule.arn,
})

function common({ id, events, prefix, suffix }: NotificationRule) {
  const rules = [
    { Name: 'prefix' as const, Value: prefix },
    { Name: 'suffix' as const, Value: suffix },
  ]
  const FilterRules = rules.filter((rule) => rule.Value !== '')
  return {
    Id: id,
    Events: [...events] as Event[],
    ...(FilterRules.length === 0 ? {} : { Filter: { Key: { FilterRules } } }),
  }
}

function rulesOf(configuration: NotificationConfiguration): readonly NotificationRule[] {
  const {
    QueueConfigurations = [],
    TopicConfigurations = [],
    LambdaFunctionConfigurations = [],
  } = configuration
  const targets = [
    ...QueueConfigurations.map((queue) => ({ ...queue, arn: queue.QueueArn })),
    ...TopicConfigurations.map((topic) => ({ ...topic, arn: topic.TopicArn })),
    ...LambdaFunctionConfigurations.map((lambda) => ({ ...lambda, arn: lambda.LambdaFunctionArn })),
  ]
  return targets.map(({ Id: id = '', arn = '', Events: events = [], Filter }) => {
    // AWS returns the names as "Prefix" and "Suffix".
    const value = (name: string) =>
      Filter?.Key?.FilterRules?.find((rule) => rule.Name?.toLowerCase() === name)?.Value ?? ''
    return { id, ours: isOurs(id), arn, events, prefix: value('prefix'), suffix: value('suffix') }
  })
}

/** The rules as a text that does not depend on the order of rules and events. */
function fingerprint(rules: readonly NotificationRule[]): string {
  return JSON.stringify(
    rules.map((rule) => JSON.stringify({ ...rule, events: rule.events.toSorted() })).toSorted(),
  )
}

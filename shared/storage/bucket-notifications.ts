/**
 * A bucket's notification configuration: where the store sends what arrives. Applied by name and
 * idempotently; what others configured on the bucket stays as it is.
 *
 * The same call serves three kinds of target, told apart by their ARN: an SQS queue of AWS, a webhook of
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

/** By name, never `s3:ObjectCreated:*`: on MinIO that fires for tags and retention as well. */
export const ARRIVAL_EVENTS: readonly Event[] = [
  's3:ObjectCreated:Put',
  's3:ObjectCreated:CompleteMultipartUpload',
  's3:ObjectCreated:Copy',
]

/** Ids that begin so are ours; all others are left alone. */
const ID_PREFIX = 'cygnet-'

export interface WantedNotifications {
  readonly bucket: string
  /** Where the events go. */
  readonly arn: string
  /** Keys must begin with one of these; none given means all. */
  readonly prefixes?: readonly string[]
  /** Keys must end with one of these; none given means all. */
  readonly suffixes?: readonly string[]
}

/** One configuration of the bucket, of whatever kind. */
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
  /** What is sent to the store when `changed`. */
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
 * Says what `applyBucketNotifications` would do; changes nothing.
 * @throws InvalidInputError when the ARN is neither of a queue nor of a topic.
 */
export async function planBucketNotifications(
  s3: S3Client,
  wanted: WantedNotifications,
  signal: AbortSignal,
): Promise<NotificationPlan> {
  const current = await read(s3, wanted.bucket, signal)
  const kind = targetKind(wanted.arn)
  const wantedRules = rulesWanted(wanted)
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
 * Makes the bucket send its arrivals to the target, and nowhere else in our name.
 * @returns the rules before and, as read back from the store, after.
 * @throws InvalidInputError for a wrong ARN; TransientError when the store took the configuration but does
 * not show it.
 */
export async function applyBucketNotifications(
  s3: S3Client,
  wanted: WantedNotifications,
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
      `the store took the notifications of bucket ${wanted.bucket} but shows something else`,
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
    `"${arn}" is no target for notifications: expected arn:aws:sqs:REGION:ACCOUNT:QUEUE, arn:minio:sqs::NAME:webhook or arn:aws:sns:ZONEGROUP::TOPIC`,
  )
}

/**
 * A filter takes one prefix and one suffix, so there is a rule for each pair. The id follows from the
 * content.
 */
function rulesWanted({
  arn,
  prefixes = [],
  suffixes = [],
}: WantedNotifications): readonly NotificationRule[] {
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
    // AWS hands the names back as "Prefix" and "Suffix".
    const value = (name: string) =>
      Filter?.Key?.FilterRules?.find((rule) => rule.Name?.toLowerCase() === name)?.Value ?? ''
    return { id, ours: isOurs(id), arn, events, prefix: value('prefix'), suffix: value('suffix') }
  })
}

/** The rules as a text that does not depend on their order, nor on that of their events. */
function fingerprint(rules: readonly NotificationRule[]): string {
  return JSON.stringify(
    rules.map((rule) => JSON.stringify({ ...rule, events: rule.events.toSorted() })).toSorted(),
  )
}

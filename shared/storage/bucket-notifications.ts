/**
 * A bucket's notification configuration: where the store sends arrivals. Applied by name and idempotently;
 * configurations of others on the bucket are not changed.
 *
 * The same call serves three kinds of target, distinguished by their ARN: an SQS queue of AWS, a webhook of
 * MinIO (`arn:minio:sqs::NAME:webhook`, named in the server's settings), a topic of Ceph or SNS
 * (`arn:aws:sns:ZONEGROUP:TENANT:TOPIC`, the tenant may be empty).
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
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
import { notificationConfiguration, parseAnswer } from './answers.ts'
import { deleteNotification, readTopic } from './ceph.ts'

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
  /** The rules are the same, and are put again: the store then copies the topic as it is now. */
  readonly refreshed: boolean
  readonly before: readonly NotificationRule[]
  readonly after: readonly NotificationRule[]
  /** What the store gets, with the rules of others. */
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
 * @throws InvalidInputError when the ARN is neither that of a queue nor of a topic, or when the bucket has a rule
 * for it that has no id.
 */
export async function planBucketNotifications(
  s3: S3Client,
  wanted: NotificationRequest,
  signal: AbortSignal,
): Promise<NotificationPlan> {
  const kind = targetKind(wanted.arn)
  const current = await read(s3, wanted.bucket, signal)
  const before = rulesOf(current)
  if (before.some(({ id, arn }) => id === '' && isSameTarget(wanted.arn, arn)))
    throw new InvalidInputError(
      `bucket ${wanted.bucket} has a rule for ${wanted.arn} without an id: each object would be announced twice. Remove that rule first`,
    )
  const wantedRules = requestedRules(wanted)
  const queues = foreign(current.QueueConfigurations)
  const topics = foreign(current.TopicConfigurations)
  const configuration: NotificationConfiguration = {
    ...current,
    QueueConfigurations: kind === 'queue' ? [...queues, ...wantedRules.map(queueConfiguration)] : queues,
    TopicConfigurations: kind === 'topic' ? [...topics, ...wantedRules.map(topicConfiguration)] : topics,
  }
  const after = rulesOf(configuration)
  const changed = !isSame(after, before)
  return { changed, refreshed: !changed && kind === 'topic', before, after, configuration }
}

/**
 * Makes the bucket send its arrivals to the target, replacing our earlier rules.
 *
 * The rules for a topic are always put: Ceph copies the topic into each rule, so that events continue to go where
 * the topic's endpoint was before, with the token that it had. Ceph also only adds rules, so that those that are
 * replaced are deleted one by one.
 * @returns the rules before and, as read back from the store, after.
 * @throws InvalidInputError for an invalid ARN; TransientError when the store accepted the configuration but
 * returns another one.
 */
export async function applyBucketNotifications(
  s3: S3Client,
  wanted: NotificationRequest,
  signal: AbortSignal,
): Promise<Omit<NotificationPlan, 'configuration'>> {
  const { bucket } = wanted
  const plan = await planBucketNotifications(s3, wanted, signal)
  const { changed, refreshed, before, after: planned, configuration } = plan
  if (!changed && !refreshed) return { changed, refreshed, before, after: before }
  const put = async (NotificationConfiguration: NotificationConfiguration) => {
    const command = new PutBucketNotificationConfigurationCommand({
      Bucket: bucket,
      NotificationConfiguration,
    })
    await s3.send(command, { abortSignal: signal })
    return await readBucketNotifications(s3, bucket, signal)
  }
  // Ceph alone shows topics. Rules of others are not put there: it would refresh them, and the SDK does not know
  // all of their filters.
  const isTopic = targetKind(wanted.arn) === 'topic'
  const isCeph = isTopic && (await readTopic(s3, wanted.arn, signal)) !== null
  let after = await put(isCeph ? ownTopics(configuration) : configuration)
  if (before.some(({ id, ours }) => !ours && !after.some((rule) => rule.id === id)))
    after = await put(configuration)
  const replaced = after.filter(({ id, ours }) => ours && !planned.some((rule) => rule.id === id))
  for (const { id } of replaced) await deleteNotification(s3, bucket, id, signal)
  if (replaced.length > 0) after = await readBucketNotifications(s3, bucket, signal)
  // Some stores answer 200 and do nothing.
  if (!isSame(planned, after))
    throw new TransientError(`the store accepted the notifications of bucket ${bucket} but returns others`, {
      rules: after.length,
    })
  return { changed, refreshed, before, after }
}

const ownTopics = ({ TopicConfigurations = [] }: NotificationConfiguration): NotificationConfiguration => ({
  TopicConfigurations: TopicConfigurations.filter(({ Id }) => isOurs(Id)),
})

async function read(s3: S3Client, bucket: string, signal: AbortSignal): Promise<NotificationConfiguration> {
  const command = new GetBucketNotificationConfigurationCommand({ Bucket: bucket })
  const { $metadata, ...answer } = await s3.send(command, { abortSignal: signal })
  const what = `notifications of bucket ${bucket}`
  return parseAnswer(notificationConfiguration, answer, what) as NotificationConfiguration
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
    return {
      id,
      ours: isOurs(id),
      arn,
      events: [...new Set(events)],
      prefix: value('prefix'),
      suffix: value('suffix'),
    }
  })
}

/** Whether the stored rules are the planned ones, in any order of rules and events. */
function isSame(planned: readonly NotificationRule[], stored: readonly NotificationRule[]): boolean {
  const rest = [...stored]
  for (const rule of planned) {
    const index = rest.findIndex((other) => isSameRule(rule, other))
    if (index < 0) return false
    rest.splice(index, 1)
  }
  return rest.length === 0
}

const isSameRule = (planned: NotificationRule, stored: NotificationRule): boolean =>
  isSameTarget(planned.arn, stored.arn) &&
  isDeepStrictEqual(
    { ...planned, arn: '', events: planned.events.toSorted() },
    { ...stored, arn: '', events: stored.events.toSorted() },
  )

/** The store fills in empty fields of an ARN: Ceph the tenant of a topic, MinIO the region. */
function isSameTarget(planned: string, stored: string): boolean {
  const [fields, storedFields] = [planned.split(':'), stored.split(':')]
  return (
    fields.length === storedFields.length &&
    fields.every((field, index) => field === '' || field === storedFields[index])
  )
}

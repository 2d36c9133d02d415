/** Clients of the embedded services, with the default settings of the SDK. */
import { type Event, PutBucketNotificationConfigurationCommand, S3Client } from '@aws-sdk/client-s3'
import {
  DeleteMessageCommand,
  GetQueueUrlCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import type { Connection } from '../../../infra/local/services/embedded/embedded.ts'

export function s3Client({ s3 }: Pick<Connection, 's3'>, more: object = {}): S3Client {
  return new S3Client({
    endpoint: s3.endpoint,
    region: s3.region,
    credentials: s3,
    forcePathStyle: true,
    maxAttempts: 1,
    ...more,
  })
}

export interface EventsWanted {
  /** The ARN of the queue, webhook or topic. */
  readonly arn: string
  readonly prefix?: string
  readonly suffix?: string
  readonly events?: readonly Event[]
}

/** Configures a bucket to send only these events; by default all creations of objects. */
export async function configureEvents(
  s3: S3Client,
  Bucket: string,
  wanted: readonly EventsWanted[],
  kind: 'queue' | 'topic' = 'queue',
): Promise<void> {
  const rules = wanted.map(({ arn, prefix = '', suffix = '', events = ['s3:ObjectCreated:*'] }, index) => ({
    arn,
    Id: `rule-${index}`,
    Events: [...events],
    Filter: {
      Key: {
        FilterRules: [
          { Name: 'prefix' as const, Value: prefix },
          { Name: 'suffix' as const, Value: suffix },
        ].filter(({ Value }) => Value !== ''),
      },
    },
  }))
  const NotificationConfiguration =
    kind === 'queue'
      ? { QueueConfigurations: rules.map(({ arn: QueueArn, ...rule }) => ({ ...rule, QueueArn })) }
      : { TopicConfigurations: rules.map(({ arn: TopicArn, ...rule }) => ({ ...rule, TopicArn })) }
  await s3.send(new PutBucketNotificationConfigurationCommand({ Bucket, NotificationConfiguration }))
}

export interface TestQueue {
  /** Takes up to ten messages; waits at most `waitSeconds` (default 0) for the first. */
  receive(options?: {
    readonly waitSeconds?: number
    readonly visibilitySeconds?: number
  }): Promise<readonly Message[]>
  /** Takes and deletes messages until none comes. @returns the records of the events. */
  records(options?: { readonly waitSeconds?: number }): Promise<readonly EventRecord[]>
  readonly url: string
  readonly client: SQSClient
}

export interface EventRecord {
  readonly eventName: string
  readonly eventTime: string
  readonly s3: {
    readonly bucket: { readonly name: string; readonly arn: string }
    readonly object: {
      readonly key: string
      readonly size?: number
      readonly eTag?: string
      readonly sequencer: string
      readonly versionId?: string
    }
  }
}

export async function testQueue({ sqs }: Connection, name: string): Promise<TestQueue> {
  const client = new SQSClient({
    endpoint: sqs.endpoint,
    region: sqs.region,
    credentials: sqs,
    maxAttempts: 1,
  })
  const { QueueUrl: url = '' } = await client.send(new GetQueueUrlCommand({ QueueName: name }))
  const receive: TestQueue['receive'] = async ({ waitSeconds = 0, visibilitySeconds } = {}) => {
    const { Messages = [] } = await client.send(
      new ReceiveMessageCommand({
        QueueUrl: url,
        MaxNumberOfMessages: 10,
        WaitTimeSeconds: waitSeconds,
        VisibilityTimeout: visibilitySeconds,
        MessageSystemAttributeNames: ['ApproximateReceiveCount'],
      }),
    )
    return Messages
  }
  const records: TestQueue['records'] = async ({ waitSeconds = 0 } = {}) => {
    const all: EventRecord[] = []
    for (let messages = await receive({ waitSeconds }); messages.length > 0; messages = await receive()) {
      for (const { Body = '{}', ReceiptHandle } of messages) {
        all.push(...(JSON.parse(Body) as { Records: EventRecord[] }).Records)
        await client.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle }))
      }
    }
    return all
  }
  return { receive, records, url, client }
}

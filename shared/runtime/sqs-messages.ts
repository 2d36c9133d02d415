/** Messages of the SQS client in the form in which Lambda passes them to a function. */
import type { Message, MessageAttributeValue } from '@aws-sdk/client-sqs'
import type { SQSMessageAttributes, SQSRecord } from 'aws-lambda'

/** A message with the fields that SQS always sets. */
export interface ReceivedMessage {
  readonly messageId: string
  readonly receiptHandle: string
  /** Number of deliveries, including this one. */
  readonly attempt: number
  readonly record: SQSRecord
}

/** Builds the record; `queueUrl` contains the account and the name for its ARN. */
export function receivedMessage(message: Message, queueUrl: string, region: string): ReceivedMessage {
  const {
    MessageId: messageId = '',
    ReceiptHandle: receiptHandle = '',
    Attributes: attributes = {},
  } = message
  const record: SQSRecord = {
    messageId,
    receiptHandle,
    body: message.Body ?? '',
    attributes: {
      ...attributes,
      ApproximateReceiveCount: attributes.ApproximateReceiveCount ?? '1',
      SentTimestamp: attributes.SentTimestamp ?? '0',
      SenderId: attributes.SenderId ?? '',
      ApproximateFirstReceiveTimestamp: attributes.ApproximateFirstReceiveTimestamp ?? '0',
    },
    messageAttributes: messageAttributes(message.MessageAttributes ?? {}),
    md5OfBody: message.MD5OfBody ?? '',
    eventSource: 'aws:sqs',
    eventSourceARN: queueArn(queueUrl, region),
    awsRegion: region,
  }
  return { messageId, receiptHandle, attempt: Number(record.attributes.ApproximateReceiveCount) || 1, record }
}

/** `https://sqs.eu-south-1.amazonaws.com/123456789012/runs` → `arn:aws:sqs:eu-south-1:123456789012:runs`. */
function queueArn(queueUrl: string, region: string): string {
  const [name = '', account = ''] = new URL(queueUrl).pathname.split('/').reverse()
  return `arn:aws:sqs:${region}:${account}:${name}`
}

function messageAttributes(
  attributes: Readonly<Record<string, MessageAttributeValue>>,
): SQSMessageAttributes {
  const entries = Object.entries(attributes).map(([name, value]) => [
    name,
    {
      dataType: value.DataType ?? 'String',
      stringValue: value.StringValue,
      binaryValue: value.BinaryValue && Buffer.from(value.BinaryValue).toString('base64'),
    },
  ])
  return Object.fromEntries(entries)
}

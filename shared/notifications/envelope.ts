/**
 * Classifies a payload: a record, or one of the envelopes in which stores, queues and event brokers wrap
 * records.
 */
import * as z from 'zod'

export type Envelope =
  | { readonly kind: 'record' }
  | { readonly kind: 'eventbridge' }
  | { readonly kind: 'test' }
  /** An envelope of other payloads, which are classified in turn. */
  | { readonly kind: 'wrapper'; readonly payloads: readonly unknown[] }
  | { readonly kind: 'unknown'; readonly reason: string }

const recordList = z.object({ Records: z.array(z.unknown()) })
/**
 * Sent by AWS when a bucket's notifications are configured: no records, only `Service`, `Event`, `Time` and
 * `Bucket`.
 */
const testEvent = z.object({ Event: z.literal('s3:TestEvent') })
/** The body of a message delivered by SNS, to SQS or by HTTP. */
const snsBody = z
  .object({ Type: z.literal('Notification'), Message: z.string() })
  .transform((sns) => sns.Message)
/** Messages of SNS and SQS as passed by Lambda. */
const snsRecord = z
  .object({ EventSource: z.literal('aws:sns'), Sns: z.object({ Message: z.string() }) })
  .transform((sns) => sns.Sns.Message)
const sqsRecord = z
  .object({ eventSource: z.literal('aws:sqs'), body: z.string() })
  .transform((sqs) => sqs.body)
const message = z.union([snsBody, snsRecord, sqsRecord])
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html */
const eventBridge = z.object({ 'detail-type': z.string(), detail: z.unknown() })
/** https://github.com/cloudevents/spec/blob/main/cloudevents/formats/json-format.md */
const cloudEvent = z.object({
  specversion: z.string(),
  data: z.unknown().optional(),
  data_base64: z.string().optional(),
})
const record = z.union([z.object({ s3: z.looseObject({}) }), z.object({ eventName: z.string() })])

/** Classifies a payload. A text is parsed as JSON. */
export function envelopeOf(payload: unknown): Envelope {
  if (typeof payload === 'string') return fromText(payload)
  if (Array.isArray(payload)) return { kind: 'wrapper', payloads: payload }
  const list = recordList.safeParse(payload)
  if (list.success) return { kind: 'wrapper', payloads: list.data.Records }
  if (testEvent.safeParse(payload).success) return { kind: 'test' }
  const text = message.safeParse(payload)
  if (text.success) return { kind: 'wrapper', payloads: [text.data] }
  if (eventBridge.safeParse(payload).success) return { kind: 'eventbridge' }
  const cloud = cloudEvent.safeParse(payload)
  if (cloud.success) {
    const { data, data_base64 } = cloud.data
    return {
      kind: 'wrapper',
      payloads: [data_base64 === undefined ? data : Buffer.from(data_base64, 'base64').toString()],
    }
  }
  if (record.safeParse(payload).success) return { kind: 'record' }
  return { kind: 'unknown', reason: 'this is not an S3 notification' }
}

function fromText(text: string): Envelope {
  try {
    return { kind: 'wrapper', payloads: [JSON.parse(text)] }
  } catch {
    return {
      kind: 'unknown',
      reason: text.trim() === '' ? 'the notification is empty' : 'the notification is not JSON',
    }
  }
}

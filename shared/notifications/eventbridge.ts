/**
 * S3 events delivered by Amazon EventBridge: other names, other fields, and keys that are not encoded.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
 */
import * as z from 'zod'
import { bucketName, etag, eventTime, sequencer, sizeBytes, versionId } from './fields.ts'
import { checkKey } from './object-key.ts'
import { parse, type RecordContent } from './record.ts'

const event = z.object({
  source: z.literal('aws.s3', 'an event that does not come from S3'),
  'detail-type': z.string(),
})

const created = z.object({
  time: eventTime,
  detail: z.object({
    bucket: z.object({ name: bucketName }, 'the event names no bucket'),
    object: z.object(
      { key: z.string('the object has no key'), size: sizeBytes, etag, 'version-id': versionId, sequencer },
      'the event names no object',
    ),
    reason: z.string().nullable().catch(null),
  }),
})

/** The event names of the other notifications, by EventBridge's reason for the event. */
const EVENT_NAMES: ReadonlyMap<string | null, string> = new Map([
  ['PutObject', 'ObjectCreated:Put'],
  ['POST Object', 'ObjectCreated:Post'],
  ['CopyObject', 'ObjectCreated:Copy'],
  ['CompleteMultipartUpload', 'ObjectCreated:CompleteMultipartUpload'],
])

/** Parses one EventBridge event of S3. @throws InvalidInputError that describes the error in the event. */
export function parseEventBridge(value: unknown): RecordContent {
  const eventName = parse(event, value)['detail-type']
  if (eventName !== 'Object Created')
    return { ignored: { reason: 'not the arrival of an object', eventName } }
  const { time, detail } = parse(created, value)
  const { object } = detail
  return {
    arrival: {
      bucket: detail.bucket.name,
      key: checkKey(object.key),
      sizeBytes: object.size,
      etag: object.etag,
      versionId: object['version-id'],
      sequencer: object.sequencer,
      eventName: EVENT_NAMES.get(detail.reason) ?? 'ObjectCreated:Put',
      eventTime: time,
      source: 'cloudevent',
    },
  }
}

/**
 * One record of an S3 event, in the dialects of AWS, MinIO and Ceph:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html and
 * https://docs.ceph.com/en/latest/radosgw/notifications/#events.
 */
import * as z from 'zod'
import { InvalidInputError } from '../errors.ts'
import { ARRIVAL_SOURCES, type ArrivalSource, type ObjectArrival } from './arrival.ts'
import { isArrival, withoutPrefix } from './event-names.ts'
import { bucketName, etag, eventTime, sequencer, sizeBytes, versionId } from './fields.ts'
import { checkKey, decodeFormKey } from './object-key.ts'

/** The content of one record: an arrival, or another event. */
export type RecordContent =
  | { readonly arrival: ObjectArrival }
  | { readonly ignored: { readonly reason: string; readonly eventName: string } }

const named = z.object({
  eventName: z
    .string('the record has no event name')
    .min(1, 'the record has no event name')
    .max(100, 'the event name is too long'),
})

const record = z.object({
  eventName: z.string(),
  eventSource: z.string().optional().catch(undefined),
  eventTime,
  /** Written by messages/runs.ts: the source of the arrival before it entered our queue. */
  cygnet: z
    .object({ source: z.enum(ARRIVAL_SOURCES) })
    .optional()
    .catch(undefined),
  s3: z.object(
    {
      bucket: z.object({ name: bucketName }, 'the record names no bucket'),
      object: z.object(
        { key: z.string('the object has no key'), size: sizeBytes, eTag: etag, versionId, sequencer },
        'the record names no object',
      ),
    },
    'the record has no s3 part',
  ),
})

/** The store, from its event source. An unknown one is assumed to follow AWS, as S3-compatible stores do. */
function sourceOf(eventSource: string | undefined): ArrivalSource {
  if (eventSource === 'ceph:s3') return 'ceph'
  if (eventSource === 'minio:s3') return 'minio'
  if (eventSource === 'embedded:s3') return 'embedded'
  return 'aws'
}

/**
 * Parses one record of a `Records` list.
 *
 * Only Ceph does not encode keys: decoding would change a literal `+` or `%41` into another key.
 * @throws InvalidInputError that describes the error in the record.
 */
export function parseRecord(value: unknown): RecordContent {
  const eventName = withoutPrefix(parse(named, value).eventName)
  if (!isArrival(eventName)) return { ignored: { reason: 'not the arrival of an object', eventName } }
  const { s3, cygnet, ...event } = parse(record, value)
  const store = sourceOf(event.eventSource)
  const key = checkKey(store === 'ceph' ? s3.object.key : decodeFormKey(s3.object.key))
  return {
    arrival: {
      bucket: s3.bucket.name,
      key,
      sizeBytes: s3.object.size,
      etag: s3.object.eTag,
      versionId: s3.object.versionId,
      sequencer: s3.object.sequencer,
      eventName,
      eventTime: event.eventTime,
      source: cygnet?.source ?? store,
    },
  }
}

/** Validates a value; the first issue becomes the message of the error. */
export function parse<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new InvalidInputError(issue?.message ?? 'the record is not an S3 event', {
    field: issue?.path.join('.') ?? '',
  })
}

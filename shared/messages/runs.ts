/**
 * Queue `runs`: objects that arrived, as the plain record of AWS, so that the store's own messages and ours
 * are read alike.
 */
import * as z from 'zod'
import { InvalidInputError } from '../errors.ts'
import { ARRIVAL_SOURCES, type ObjectArrival } from '../notifications/arrival.ts'
import { isArrival } from '../notifications/event-names.ts'
import { encodeFormKey } from '../notifications/object-key.ts'
import { type ParsedNotification, parseNotification } from '../notifications/parse.ts'
import type { MessageReader, QueueDescription } from './format.ts'

/** The records that Cygnet writes; a store's own have more fields, of which no other is read. */
const schema = z.object({
  Records: z
    .array(
      z.object({
        eventVersion: z.literal('2.1'),
        eventSource: z.literal('aws:s3'),
        eventTime: z.iso.datetime().optional().describe('when the object arrived, UTC'),
        eventName: z.string().describe('such as `ObjectCreated:Put`'),
        s3: z.object({
          s3SchemaVersion: z.literal('1.0'),
          bucket: z.object({ name: z.string().min(1), arn: z.string() }),
          object: z.object({
            key: z.string().min(1).describe('form-encoded: a blank is `+`'),
            size: z.int().nonnegative().optional().describe('bytes'),
            eTag: z.string().optional().describe('without quotes'),
            versionId: z.string().optional().describe('absent where the bucket keeps no versions'),
            sequencer: z.string().optional().describe('orders the events of one key, within one store'),
          }),
        }),
        cygnet: z
          .object({
            source: z
              .enum(ARRIVAL_SOURCES)
              .describe('which store reported the arrival, or `reconcile` or `replay`'),
          })
          .describe('added by Cygnet'),
      }),
    )
    .describe('one or more objects'),
})

export const runs = {
  purpose: 'One message per object that arrived in a bucket: an S3 notification.',
  writer:
    'the store itself (AWS), receive-notification (MinIO and Ceph, brought into this form), reconcile and `cygnet replay`',
  reader: 'extract-metadata, which catalogues the object',
  promise:
    'Nothing: a notification is a hint, and the object itself is read. The reader also understands SNS and EventBridge envelopes and CloudEvents, and keeps what it does not understand for a person (`cygnet dead ls`). An object whose notification was lost is found by reconcile, an arrival whose message was lost by track-arrivals.',
  schema,
  example: encodeNotification([
    {
      bucket: 'cygno-data',
      key: 'LNGS/run12345.mid.gz',
      sizeBytes: 734003200,
      etag: '9a0364b9e99bb480dd25e1f0284c8555',
      versionId: null,
      sequencer: '0055AED6DCD90281E5',
      eventName: 'ObjectCreated:Put',
      eventTime: new Date('2026-03-01T12:00:00Z'),
      source: 'minio',
    },
  ]),
  /** Throws nothing: what is not understood is `rejected`. */
  parse: parseNotification,
  /** A message may be about several objects: each has log fields of its own. */
  fields: () => ({}),
} satisfies QueueDescription & MessageReader<ParsedNotification>

/**
 * Makes the body of a message that `runs.parse` reads back to the same arrivals, their source
 * included.
 * @throws InvalidInputError when an event name says that nothing arrived: the message would be ignored, and
 * the run lost.
 */
export function encodeNotification(arrivals: readonly ObjectArrival[]): string {
  return JSON.stringify({ Records: arrivals.map(recordOf) })
}

function recordOf(arrival: ObjectArrival): z.infer<typeof schema>['Records'][number] {
  if (!isArrival(arrival.eventName))
    throw new InvalidInputError(`${arrival.eventName} is not the arrival of an object`)
  return {
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    eventTime: arrival.eventTime?.toISOString(),
    eventName: arrival.eventName,
    s3: {
      s3SchemaVersion: '1.0',
      bucket: { name: arrival.bucket, arn: `arn:aws:s3:::${arrival.bucket}` },
      object: {
        key: encodeFormKey(arrival.key),
        size: arrival.sizeBytes ?? undefined,
        eTag: arrival.etag ?? undefined,
        versionId: arrival.versionId ?? undefined,
        sequencer: arrival.sequencer ?? undefined,
      },
    },
    cygnet: { source: arrival.source },
  }
}

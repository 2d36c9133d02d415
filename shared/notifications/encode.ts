/**
 * Arrivals as message bodies of our own queue: the plain record of AWS, so that live events and ours are read
 * alike.
 */
import { InvalidInputError } from '../errors.ts'
import type { ObjectArrival } from './arrival.ts'
import { isArrival } from './event-names.ts'
import { encodeFormKey } from './object-key.ts'

/**
 * Makes the body of a message that `parseNotification` reads back to the same arrivals, their source
 * included.
 * @throws InvalidInputError when an event name says that nothing arrived: the message would be ignored, and
 * the run lost.
 */
export function encodeNotification(arrivals: readonly ObjectArrival[]): string {
  return JSON.stringify({ Records: arrivals.map(recordOf) })
}

function recordOf(arrival: ObjectArrival) {
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

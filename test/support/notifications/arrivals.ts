/** Arrivals and records for the tests, and generators of them. */
import fc from 'fast-check'
import { ARRIVAL_SOURCES, type ObjectArrival } from '../../../shared/notifications/arrival.ts'

export const MD5 = '0123456789abcdef0123456789abcdef'

/** A record as AWS sends it, with changes by the test. */
export function record(object: object = {}, event: object = {}) {
  return {
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    eventTime: '2024-05-17T09:12:31.482Z',
    eventName: 'ObjectCreated:Put',
    s3: {
      bucket: { name: 'cygno-data', arn: 'arn:aws:s3:::cygno-data' },
      object: {
        key: 'LNGS/run12345.mid.gz',
        size: 1588093,
        eTag: MD5,
        sequencer: '0066471F0F6C5A1B2C',
        ...object,
      },
    },
    ...event,
  }
}

/** The arrival that `record()` describes. */
export const arrival: ObjectArrival = {
  bucket: 'cygno-data',
  key: 'LNGS/run12345.mid.gz',
  sizeBytes: 1588093,
  etag: MD5,
  versionId: null,
  sequencer: '0066471F0F6C5A1B2C',
  eventName: 'ObjectCreated:Put',
  eventTime: new Date('2024-05-17T09:12:31.482Z'),
  source: 'aws',
}

/** Any key that S3 accepts, with blanks, +, % and emoji. */
export const keys = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 80 })
  .filter((key) => Buffer.byteLength(key) <= 1024)

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })

const etags = fc.oneof(
  hex(32),
  fc.tuple(hex(32), fc.integer({ min: 1, max: 10_000 })).map(([md5, parts]) => `${md5}-${parts}`),
  fc.string({ unit: fc.constantFrom(...'ABCdef/+='), minLength: 1, maxLength: 40 }),
)

export const arrivals: fc.Arbitrary<ObjectArrival> = fc.record({
  bucket: fc.stringMatching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
  key: keys,
  sizeBytes: fc.option(fc.maxSafeNat()),
  etag: fc.option(etags),
  versionId: fc.option(fc.uuid()),
  sequencer: fc.option(hex(16)),
  eventName: fc.constantFrom(
    'ObjectCreated:Put',
    'ObjectCreated:Copy',
    'ObjectCreated:CompleteMultipartUpload',
    'ObjectCreated:Post',
  ),
  eventTime: fc.option(fc.date({ min: new Date(0), max: new Date('2999-12-31'), noInvalidDate: true })),
  source: fc.constantFrom(...ARRIVAL_SOURCES),
})

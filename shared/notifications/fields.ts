/**
 * The fields of an event as zod schemas. Fields that identify the object must be valid (bucket, key,
 * version); those that only describe it (size, ETag, sequencer, time) become null when they are missing or
 * invalid, because the store is queried anyway.
 */
import * as z from 'zod'

/** S3 allows 63 characters, old Ceph and old AWS regions 255. */
export const bucketName = z
  .string('the bucket has no name')
  .min(1, 'the bucket has no name')
  .max(255, 'the bucket name is too long')

/** A number, or digits as text, as written by some stores and in Ceph's documentation. */
export const sizeBytes = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .pipe(z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER))
  .nullable()
  .catch(null)

const MD5 = /^[0-9a-f]{32}(?:-\d+)?$/i

export const etag = z
  .string()
  .transform((text) => text.trim().replace(/^"(.*)"$/, '$1'))
  .pipe(z.string().min(1).max(255))
  .transform((text) => (MD5.test(text) ? text.toLowerCase() : text))
  .nullable()
  .catch(null)

/** `null` (as a text), a missing field and an empty text all mean that the bucket is not versioned. */
export const versionId = z
  .string('the version id is not a text')
  .max(1024, 'the version id is too long')
  .nullish()
  .transform((text) => (text === undefined || text === '' || text === 'null' ? null : text))

export const sequencer = z.string().min(1).max(255).nullable().catch(null)

const ISO_TIME = /^([12]\d{3}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2}(?:\.\d+)?)(Z|[+-]\d{2}:?\d{2})?$/

/** ISO 8601, to the second, milli- or microsecond. A time without a zone is UTC, as all stores write it. */
export const eventTime = z
  .string()
  .transform((text) => {
    const [, day, time, zone] = ISO_TIME.exec(text) ?? []
    return new Date(`${day}T${time}${zone ?? 'Z'}`)
  })
  .pipe(z.date())
  .nullable()
  .catch(null)

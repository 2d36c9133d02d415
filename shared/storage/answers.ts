/**
 * The fields of a store's answers. A field that is missing or invalid is undefined, never a default: what an
 * unknown size, ETag or date means is decided where it is needed.
 */
import * as z from 'zod'
import { TransientError } from '../errors.ts'

/** @throws TransientError that names what is missing, when the answer is of no use without it. */
export function parseAnswer<T extends z.ZodType>(schema: T, answer: unknown, what: string): z.infer<T> {
  const result = schema.safeParse(answer)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new TransientError(`${what}: the store's answer has no valid ${issue?.path.join('.')}`)
}

const MD5 = /^[0-9a-f]{32}(?:-\d+)?$/i

/** Without quotes and weakness; an MD5 in lower case: the same form as in notifications. */
const etag = z
  .string()
  .transform((text) => text.trim().replace(/^(?:W\/)?"?|"?$/g, ''))
  .pipe(z.string().min(1).max(255))
  .transform((text) => (MD5.test(text) ? text.toLowerCase() : text))

/** Before S3 existed there was no object: servers that do not know a date often state 1970. */
const date = z.date().min(new Date('2006-01-01'))

const optional = <T extends z.ZodType>(type: T) => type.optional().catch(undefined)
const text = optional(z.string().min(1))

/** In the answers of HEAD and GET and in listings. */
const described = { ETag: optional(etag), LastModified: optional(date) }
const sizeBytes = optional(z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER))

export const headAnswer = z.object({
  ...described,
  ContentLength: sizeBytes,
  ContentEncoding: text,
  VersionId: text,
  ServerSideEncryption: text,
  SSECustomerAlgorithm: text,
  ChecksumType: text,
  ChecksumSHA256: text,
  ChecksumSHA1: text,
  ChecksumCRC32: text,
  ChecksumCRC32C: text,
  ChecksumCRC64NVME: text,
  Metadata: z.record(z.string(), z.string()).catch({}),
})
export type HeadAnswer = z.infer<typeof headAnswer>

/** `Content-Range: bytes 100-199/200`; the size is `*` where the server does not know it. */
const contentRange = z
  .string()
  .regex(/^bytes \d+-\d+\/(?:\d+|\*)$/)
  .transform((range) => {
    const [, start, size] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? []
    return { start: Number(start), sizeBytes: size === '*' ? undefined : Number(size) }
  })

export const getAnswer = z.object({ ...described, ContentRange: optional(contentRange) })

const listedObject = z.object({ ...described, Key: z.string().min(1), Size: sizeBytes })
export type ListedObject = z.infer<typeof listedObject>

/** An entry without its key states nothing: the whole page is refused, as is one that lacks its entries. */
export const listing = z
  .object({
    Contents: z.array(listedObject).optional(),
    KeyCount: sizeBytes,
    IsTruncated: optional(z.boolean()),
    NextContinuationToken: text,
  })
  .refine(({ Contents, KeyCount = 0 }) => Contents !== undefined || KeyCount === 0, { path: ['Contents'] })
  .transform(({ Contents = [], ...page }) => ({ ...page, Contents }))

const listedVersion = z.object({ Key: z.string().min(1), VersionId: z.string().min(1) })

export const versionListing = z.object({
  Versions: z.array(listedVersion).default([]),
  IsTruncated: optional(z.boolean()),
})

const listedPart = z.object({
  PartNumber: z.number().int().positive(),
  ETag: z.string().min(1),
  Size: z.number().int().nonnegative(),
})

export const partListing = z.object({
  Parts: z.array(listedPart).default([]),
  IsTruncated: optional(z.boolean()),
  NextPartNumberMarker: text,
})

const listedUpload = z.object({
  Key: z.string().min(1),
  UploadId: z.string().min(1),
  Initiated: optional(date),
})

export const uploadListing = z.object({
  Uploads: z.array(listedUpload).default([]),
  IsTruncated: optional(z.boolean()),
  NextKeyMarker: text,
  NextUploadIdMarker: text,
})

/** HEAD of a bucket: the status is all that is relied on. */
export const bucketAnswer = z.object({ $metadata: z.object({ httpStatusCode: z.literal(200) }) })

/** A filter whose value is missing would be taken for one that lets everything pass. */
const filterRule = z.looseObject({ Name: z.string().min(1), Value: z.string() })
const notification = z.looseObject({
  Id: text,
  Events: z.array(z.string().min(1)).min(1),
  Filter: z
    .looseObject({ Key: z.looseObject({ FilterRules: z.array(filterRule).optional() }).optional() })
    .optional(),
})
const arn = z.string().regex(/^arn:/)

/** Parts that are not listed here are kept, since the whole configuration is written again. */
export const notificationConfiguration = z.looseObject({
  QueueConfigurations: z.array(notification.extend({ QueueArn: arn })).optional(),
  TopicConfigurations: z.array(notification.extend({ TopicArn: arn })).optional(),
  LambdaFunctionConfigurations: z.array(notification.extend({ LambdaFunctionArn: arn })).optional(),
})

/** The form in which ETags are compared. */
export const comparableEtag = (text: string): string | undefined => optional(etag).parse(text)

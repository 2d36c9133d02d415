/**
 * Reads objects: the current version, its bytes as a stream that is resumed after a lost connection, and
 * listings page by page.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import { ConflictError, nameRequest, passesWithTime, TransientError } from '../errors.ts'
import type { ObjectName, ObjectVersion } from '../run.ts'
import { type HeadAnswer, headAnswer, type ListedObject, listing, parseAnswer } from './answers.ts'
import { assertBucketExists } from './bucket-exists.ts'
import { getObject } from './get-object.ts'
import { statusOf } from './send-body.ts'
import { sizeAndDate } from './size-and-date.ts'
import { type Statement, statementsOf } from './stated-digests.ts'
import { dateReader } from './store-clock.ts'

export interface ObjectDescription extends ObjectVersion {
  readonly stated: readonly Statement[]
  /** With which the object was stored (`gzip`); null if none. Programs that obey it decompress what they fetch. */
  readonly contentEncoding: string | null
  /** The store's clock when it described the object; null if it states none. */
  readonly storeTime: Date | null
}

/**
 * Describes the current object, or null when there is none.
 * @throws TransientError when the store does not state the version or size of the object, or does not have its
 * bucket either.
 */
export async function describeObject(
  s3: S3Client,
  name: ObjectName,
  signal: AbortSignal,
): Promise<ObjectDescription | null> {
  const command = new HeadObjectCommand({ Bucket: name.bucket, Key: name.key, ChecksumMode: 'ENABLED' })
  const date = dateReader()
  command.middlewareStack.add(date.middleware, date.options)
  const answer = await s3.send(command, { abortSignal: signal }).catch((error) => {
    if (isMissing(error)) return null
    throw error
  })
  if (answer === null) {
    await assertBucketExists(s3, name.bucket, signal)
    return null
  }
  const head = parseAnswer(headAnswer, answer, `HEAD of ${name.bucket}/${name.key}`)
  const etag = head.ETag ?? unstated('ETag', name)
  const { sizeBytes, lastModified } = await sizeAndDate(s3, { ...name, etag }, head, signal)
  return {
    ...name,
    etag,
    versionId: head.VersionId === undefined || head.VersionId === 'null' ? null : head.VersionId,
    sizeBytes: sizeBytes ?? unstated('size', name),
    lastModified: lastModified ?? null,
    stated: statementsOf(head),
    contentEncoding: contentEncodingOf(head),
    storeTime: date.stated(),
  }
}

function unstated(what: string, { bucket, key }: ObjectName): never {
  throw new TransientError(`the store does not state the ${what} of ${bucket}/${key}`)
}

const isMissing = (error: unknown) =>
  error instanceof Error &&
  (error.name === 'NotFound' || error.name === 'NoSuchKey' || statusOf(error) === 404)

/** `aws-chunked` is the framing of an upload, which some stores keep. */
function contentEncodingOf({ ContentEncoding: stated = '' }: HeadAnswer): string | null {
  const codings = stated.split(',').map((coding) => coding.trim().toLowerCase())
  return codings.filter((coding) => !['', 'identity', 'aws-chunked'].includes(coding)).join(', ') || null
}

const RESUMPTIONS = 5

/**
 * The bytes of exactly this version (a GET conditional on its ETag). After a lost connection, reading is
 * resumed, up to five times.
 * @throws ConflictError when the object has been replaced, TransientError when it ends early or cannot be
 * resumed.
 */
export async function* readObject(
  s3: S3Client,
  version: ObjectVersion,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let offset = 0
  for (let attempt = 0; ; attempt++) {
    try {
      for await (const chunk of await openObject(s3, version, offset, signal)) {
        offset += chunk.length
        yield chunk
      }
      if (offset === version.sizeBytes) return
      throw new TransientError(`the store closed the stream after ${offset} of ${version.sizeBytes} bytes`, {
        offset,
      })
    } catch (error) {
      signal.throwIfAborted()
      nameRequest(error, `GetObject of ${version.bucket}/${version.key}`)
      if (statusOf(error) === 412)
        throw new ConflictError(
          'the object changed while it was read',
          { bucket: version.bucket, key: version.key },
          { cause: error },
        )
      if (
        attempt >= RESUMPTIONS ||
        offset > version.sizeBytes ||
        !(error instanceof TransientError || passesWithTime(error))
      )
        throw error
      await sleep(100 * 2 ** attempt, undefined, { signal })
    }
  }
}

async function openObject(
  s3: S3Client,
  version: ObjectVersion,
  offset: number,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  // Also an object of 0 bytes is fetched: the description may be wrong.
  if (offset > 0 && offset >= version.sizeBytes) return emptyStream()
  const range = offset === 0 ? undefined : `bytes=${offset}-`
  const { answer, body } = await getObject(s3, version, range, signal)
  if (offset === 0 || answer.ContentRange?.start === offset) return body
  body.destroy()
  throw new TransientError(`the store does not continue ${version.bucket}/${version.key} at byte ${offset}`)
}

async function* emptyStream(): AsyncGenerator<Uint8Array> {}

/** One page of a listing. */
export interface ListingPage {
  /** Of all entries, in order. */
  readonly keys: readonly string[]
  /** The wanted ones. */
  readonly objects: readonly ObjectVersion[]
  /** Wanted entries that the listing and the answers about the object do not describe. */
  readonly undescribed: readonly UndescribedEntry[]
  /** Where the next page starts; null on the last one. */
  readonly last: string | null
}

export interface UndescribedEntry extends ObjectName {
  /** Null if not stated. */
  readonly etag: string | null
  readonly sizeBytes: number | null
  readonly lastModified: Date | null
  readonly error: unknown
}

/**
 * One page of a listing in key order: up to 1000 objects after `startAfter`. The store is asked for nothing about
 * entries that are not wanted, and an entry that it cannot describe does not prevent the others.
 */
export async function listObjects(
  s3: S3Client,
  where: {
    readonly bucket: string
    readonly prefix: string
    readonly startAfter: string | null
    readonly pageSize?: number
    /** By key; without it all are wanted. */
    readonly isWanted?: (key: string) => boolean
  },
  signal: AbortSignal,
): Promise<ListingPage> {
  let token: string | undefined
  while (true) {
    const command = new ListObjectsV2Command({
      Bucket: where.bucket,
      Prefix: where.prefix,
      MaxKeys: where.pageSize ?? 1000,
      ...(where.startAfter === null ? {} : { StartAfter: where.startAfter }),
      ...(token === undefined ? {} : { ContinuationToken: token }),
    })
    const answer = await s3.send(command, { abortSignal: signal })
    const page = parseAnswer(listing, answer, `listing of ${where.bucket}`)
    // Some stores ignore where a listing is to start.
    const entries = page.Contents.filter(
      ({ Key: key }) => where.startAfter === null || compareKeys(key, where.startAfter) > 0,
    ).toSorted((a, b) => compareKeys(a.Key, b.Key))
    const last = entries.at(-1)?.Key
    // A page that states nothing about its end is not the last one, unless it is empty.
    const isLast = page.NextContinuationToken === undefined && !(page.IsTruncated ?? last !== undefined)
    const wanted = entries.filter(({ Key: key }) => where.isWanted?.(key) ?? true)
    const described = await describeListed(s3, where.bucket, wanted, signal)
    const keys = entries.map(({ Key: key }) => key)
    if (isLast) return { keys, ...described, last: null }
    if (last !== undefined) return { keys, ...described, last }
    // A store may return a page without objects that is not the last one.
    if (page.NextContinuationToken === undefined || page.NextContinuationToken === token)
      throw new TransientError(`the listing of ${where.bucket} does not state where it continues`)
    token = page.NextContinuationToken
  }
}

/** The order of listings: that of the UTF-8 bytes. */
const compareKeys = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

const MD5_OF_NOTHING = 'd41d8cd98f00b204e9800998ecf8427e'

/** Objects about which the listing does not state everything are asked for one by one. */
async function describeListed(
  s3: S3Client,
  bucket: string,
  entries: readonly ListedObject[],
  signal: AbortSignal,
): Promise<Pick<ListingPage, 'objects' | 'undescribed'>> {
  const objects: ObjectVersion[] = []
  const undescribed: UndescribedEntry[] = []
  for (const { Key: key, ETag: etag, Size: sizeBytes, LastModified: lastModified } of entries) {
    // The SDK reads an empty size as 0: the ETag of most objects of 0 bytes confirms it.
    const isSized = sizeBytes !== undefined && (sizeBytes > 0 || etag === MD5_OF_NOTHING)
    if (etag !== undefined && isSized && lastModified !== undefined) {
      objects.push({ bucket, key, etag, versionId: null, sizeBytes, lastModified })
      continue
    }
    try {
      const object = await describeObject(s3, { bucket, key }, signal)
      if (object !== null) objects.push({ ...object, versionId: null })
    } catch (error) {
      signal.throwIfAborted()
      const stated = { etag: etag ?? null, sizeBytes: sizeBytes ?? null, lastModified: lastModified ?? null }
      undescribed.push({ bucket, key, ...stated, error })
    }
  }
  return { objects, undescribed }
}

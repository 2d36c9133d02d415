/**
 * Reads objects: the current version, its bytes as a stream that is resumed after a lost connection, and
 * listings page by page.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import { ConflictError, nameRequest, passesWithTime, TransientError } from '../errors.ts'
import type { ObjectName, ObjectVersion } from '../run.ts'
import { type HeadAnswer, headAnswer, type ListedObject, listing, parseAnswer } from './answers.ts'
import { getObject } from './get-object.ts'
import { statusOf } from './send-body.ts'
import { sizeAndDate } from './size-and-date.ts'
import { type Statement, statementsOf } from './stated-digests.ts'

export interface ObjectDescription extends ObjectVersion {
  readonly stated: readonly Statement[]
  /** With which the object was stored (`gzip`); null if none. Programs that obey it decompress what they fetch. */
  readonly contentEncoding: string | null
}

/**
 * Describes the current object, or null when there is none.
 * @throws TransientError when the store does not state the version, size or date of the object.
 */
export async function describeObject(
  s3: S3Client,
  name: ObjectName,
  signal: AbortSignal,
): Promise<ObjectDescription | null> {
  const command = new HeadObjectCommand({ Bucket: name.bucket, Key: name.key, ChecksumMode: 'ENABLED' })
  const answer = await s3.send(command, { abortSignal: signal }).catch((error) => {
    if (isMissing(error)) return null
    throw error
  })
  if (answer === null) return null
  const head = parseAnswer(headAnswer, answer, `HEAD of ${name.bucket}/${name.key}`)
  const etag = head.ETag ?? unstated('ETag', name)
  const { sizeBytes, lastModified } = await sizeAndDate(s3, { ...name, etag }, head, signal)
  return {
    ...name,
    etag,
    versionId: head.VersionId === undefined || head.VersionId === 'null' ? null : head.VersionId,
    sizeBytes: sizeBytes ?? unstated('size', name),
    lastModified: lastModified ?? unstated('date', name),
    stated: statementsOf(head),
    contentEncoding: contentEncodingOf(head),
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

/** One page of a listing in key order: up to 1000 objects after `startAfter`. */
export async function listObjects(
  s3: S3Client,
  where: {
    readonly bucket: string
    readonly prefix: string
    readonly startAfter: string | null
    readonly pageSize?: number
  },
  signal: AbortSignal,
): Promise<{ readonly objects: readonly ObjectVersion[]; readonly last: string | null }> {
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
    const objects = await describeListed(s3, where.bucket, entries, signal)
    if (isLast) return { objects, last: null }
    if (last !== undefined) return { objects, last }
    // A store may return a page without objects that is not the last one.
    if (page.NextContinuationToken === undefined || page.NextContinuationToken === token)
      throw new TransientError(`the listing of ${where.bucket} does not state where it continues`)
    token = page.NextContinuationToken
  }
}

/** The order of listings: that of the UTF-8 bytes. */
const compareKeys = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** Objects about which the listing does not state everything are asked for one by one. */
async function describeListed(
  s3: S3Client,
  bucket: string,
  entries: readonly ListedObject[],
  signal: AbortSignal,
): Promise<readonly ObjectVersion[]> {
  const objects: ObjectVersion[] = []
  for (const { Key: key, ETag: etag, Size: sizeBytes, LastModified: lastModified } of entries) {
    const object =
      etag === undefined || sizeBytes === undefined || lastModified === undefined
        ? await describeObject(s3, { bucket, key }, signal)
        : { bucket, key, etag, versionId: null, sizeBytes, lastModified }
    if (object !== null) objects.push({ ...object, versionId: null })
  }
  return objects
}

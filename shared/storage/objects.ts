/**
 * Reads objects: the current version, its bytes as a stream that is resumed after a lost connection, and
 * listings page by page.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import { ConflictError, passesWithTime, TransientError } from '../errors.ts'
import type { ObjectName, ObjectVersion } from '../run.ts'

/** Digests stated by the store or the uploader for an object, lower-case hex; absent where none is stated. */
export interface StatedDigests {
  readonly md5?: string
  readonly sha256?: string
  readonly sha1?: string
  readonly crc32?: string
  readonly crc32c?: string
  readonly crc64nvme?: string
  readonly adler32?: string
  /** The ETag of a multipart upload: a checksum if the part size can be guessed. */
  readonly multipartEtag?: string
}

export interface ObjectDescription extends ObjectVersion {
  /**
   * Which source states which digest: the ETag, the store's own checksum, the uploader's metadata. Only
   * checksums of the content.
   */
  readonly stated: readonly { readonly by: 'etag' | 'store' | 'uploader'; readonly digests: StatedDigests }[]
}

/** Without quotes, an MD5 in lower case: the same form as in notifications. */
function unquoted(etag: string | undefined): string {
  const bare = (etag ?? '').replace(/^(?:W\/)?"?|"?$/g, '')
  return /^[0-9a-f]{32}(?:-\d+)?$/i.test(bare) ? bare.toLowerCase() : bare
}
const hexOfBase64 = (text: string) => Buffer.from(text, 'base64').toString('hex')
const isMissing = (error: unknown) =>
  error instanceof Error &&
  (error.name === 'NotFound' ||
    error.name === 'NoSuchKey' ||
    ('$metadata' in error && statusOf(error) === 404))
const statusOf = (error: unknown) =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode

const HEX_LENGTH = { md5: 32, sha256: 64, adler32: 8 } as const

/**
 * Describes the current object, or null when there is none. Only digests of the content are included: not the
 * ETag of a KMS-encrypted object, nor a composite checksum (it ends in `-<parts>`).
 */
export async function describeObject(
  s3: S3Client,
  name: ObjectName,
  signal: AbortSignal,
): Promise<ObjectDescription | null> {
  const command = new HeadObjectCommand({ Bucket: name.bucket, Key: name.key, ChecksumMode: 'ENABLED' })
  const head = await s3.send(command, { abortSignal: signal }).catch((error) => {
    if (isMissing(error)) return null
    throw error
  })
  if (head === null) return null
  const etag = unquoted(head.ETag)
  const stated: ObjectDescription['stated'][number][] = []
  const encrypted =
    head.ServerSideEncryption?.startsWith('aws:kms') === true || head.SSECustomerAlgorithm !== undefined
  if (/^[0-9a-f]{32}$/.test(etag) && !encrypted) stated.push({ by: 'etag', digests: { md5: etag } })
  if (/^[0-9a-f]{32}-\d+$/.test(etag) && !encrypted)
    stated.push({ by: 'etag', digests: { multipartEtag: etag } })
  const whole = (text: string | undefined) =>
    text === undefined || text.includes('-') || head.ChecksumType === 'COMPOSITE'
      ? undefined
      : hexOfBase64(text)
  const store = defined({
    sha256: whole(head.ChecksumSHA256),
    sha1: whole(head.ChecksumSHA1),
    crc32: whole(head.ChecksumCRC32),
    crc32c: whole(head.ChecksumCRC32C),
    crc64nvme: whole(head.ChecksumCRC64NVME),
  })
  if (Object.keys(store).length > 0) stated.push({ by: 'store', digests: store })
  const metadata = head.Metadata ?? {}
  const uploader = defined({
    md5: hexOf(metadata, 'md5') ?? rcloneMd5(metadata),
    sha256: hexOf(metadata, 'sha256'),
    adler32: hexOf(metadata, 'adler32')?.padStart(8, '0'),
  })
  if (Object.keys(uploader).length > 0) stated.push({ by: 'uploader', digests: uploader })
  return {
    ...name,
    etag,
    versionId: head.VersionId === undefined || head.VersionId === 'null' ? null : head.VersionId,
    sizeBytes: head.ContentLength ?? 0,
    lastModified: head.LastModified ?? new Date(0),
    stated,
  }
}

function hexOf(
  metadata: Readonly<Record<string, string>>,
  name: 'md5' | 'sha256' | 'adler32',
): string | undefined {
  const value = metadata[name]?.trim().toLowerCase()
  return value !== undefined && /^[0-9a-f]+$/.test(value) && value.length <= HEX_LENGTH[name]
    ? value
    : undefined
}

/** rclone stores the MD5 of a multipart upload as base64 under a name of its own. */
function rcloneMd5(metadata: Readonly<Record<string, string>>): string | undefined {
  const hex = hexOfBase64(metadata.md5chksum ?? '')
  return hex.length === HEX_LENGTH.md5 ? hex : undefined
}

function defined(digests: Readonly<Record<string, string | undefined>>): StatedDigests {
  return Object.fromEntries(Object.entries(digests).filter(([, value]) => value !== undefined))
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
  if (offset >= version.sizeBytes) return emptyStream()
  const command = new GetObjectCommand({
    Bucket: version.bucket,
    Key: version.key,
    IfMatch: `"${version.etag}"`,
    ...(version.versionId === null ? {} : { VersionId: version.versionId }),
    ...(offset === 0 ? {} : { Range: `bytes=${offset}-` }),
  })
  const answer = await s3.send(command, { abortSignal: signal })
  if (answer.Body === undefined) return emptyStream()
  return answer.Body as AsyncIterable<Uint8Array>
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
    const page = await s3.send(command, { abortSignal: signal })
    const objects = (page.Contents ?? []).flatMap((item) =>
      item.Key === undefined
        ? []
        : [
            {
              bucket: where.bucket,
              key: item.Key,
              etag: unquoted(item.ETag),
              versionId: null,
              sizeBytes: item.Size ?? 0,
              lastModified: item.LastModified ?? new Date(0),
            },
          ],
    )
    if (page.IsTruncated !== true) return { objects, last: null }
    const last = objects.at(-1)?.key
    if (last !== undefined) return { objects, last }
    // A store may return a page without objects that is not the last one.
    if (page.NextContinuationToken === undefined || page.NextContinuationToken === token)
      throw new TransientError(`the listing of ${where.bucket} does not state where it continues`)
    token = page.NextContinuationToken
  }
}

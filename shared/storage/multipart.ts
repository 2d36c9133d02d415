/**
 * Sends an object in parts, each verified by the store on arrival (Content-MD5). The parts are stored until
 * they are combined or aborted, so that an interrupted upload can be resumed; there is no object under the
 * key before the end.
 */
import type { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { TransientError } from '../errors.ts'
import type { ObjectName } from '../run.ts'
import { comparableEtag, parseAnswer, partListing, uploadListing } from './answers.ts'
import { describeObject } from './objects.ts'
import { type Body, base64OfHex, sendBody, statusOf, withinSeconds } from './send-body.ts'
import { hasMd5Etag, type ObjectToSend, unlessOccupied } from './upload.ts'

/** A multipart upload in progress. */
export interface MultipartUpload extends ObjectName {
  readonly uploadId: string
  /** False where the store encrypts with keys of a key service: then its ETags are not MD5s. */
  readonly etagIsMd5: boolean
}

export interface StoredPart {
  readonly number: number
  /** As the store wrote it, with or without quotes: it must be returned unchanged. */
  readonly etag: string
  readonly sizeBytes: number
}

/**
 * `occupied`: an object exists under the key and must not be replaced. `gone`: the upload was ended by
 * someone else.
 */
export type SendOutcome = 'stored' | 'occupied' | 'gone'

/** Seconds for a request that transfers no data. */
const REQUEST_SECONDS = 60
/** Combining thousands of parts takes some stores minutes. */
const COMPLETION_SECONDS = 1800

/**
 * True when the upload no longer exists: completed, aborted, or cleaned up by the store. Ceph 16 answers `NoSuchKey`
 * when its parts are listed.
 */
export const isUploadMissing = (error: unknown) =>
  error instanceof Error && (error.name === 'NoSuchUpload' || error.name === 'NoSuchKey')

/** Starts a multipart upload. */
export async function createMultipart(
  s3: S3Client,
  object: ObjectToSend,
  signal: AbortSignal,
): Promise<MultipartUpload> {
  const { bucket, key } = object
  const command = new CreateMultipartUploadCommand({
    Bucket: bucket,
    Key: key,
    Metadata: { ...object.metadata },
  })
  const answer = await withinSeconds(REQUEST_SECONDS, signal, (abortSignal) =>
    s3.send(command, { abortSignal }),
  )
  if (answer.UploadId === undefined)
    throw new TransientError('the store began an upload in parts without giving it an id')
  return { bucket, key, uploadId: answer.UploadId, etagIsMd5: hasMd5Etag(answer) }
}

/**
 * Sends one part; sending it again replaces it. The whole object is compared afterwards.
 * @throws what the store throws when it received other bytes.
 */
export async function sendPart(
  s3: S3Client,
  upload: MultipartUpload,
  number: number,
  body: Body,
  signal: AbortSignal,
): Promise<StoredPart> {
  const send = async (stream: Readable, abortSignal: AbortSignal): Promise<StoredPart> => {
    const command = new UploadPartCommand({
      Bucket: upload.bucket,
      Key: upload.key,
      UploadId: upload.uploadId,
      PartNumber: number,
      Body: stream,
      ContentLength: body.sizeBytes,
      ContentMD5: base64OfHex(body.md5),
    })
    const { ETag: etag } = await s3.send(command, { abortSignal })
    if (etag === undefined) throw new TransientError(`the store does not state the ETag of part ${number}`)
    // The store has compared the MD5. Its ETag may be computed in another way: one that differs proves nothing.
    return { number, etag, sizeBytes: body.sizeBytes }
  }
  return await sendBody(body, send, signal)
}

/**
 * Whether a stored part is this one: same size, and its ETag is the part's MD5. Where ETags are not MD5s,
 * only the size is compared: the store verified the MD5 when the part arrived.
 */
export function holds(
  upload: MultipartUpload,
  part: StoredPart,
  expected: { readonly sizeBytes: number; readonly md5: string },
): boolean {
  return (
    part.sizeBytes === expected.sizeBytes && (!upload.etagIsMd5 || comparableEtag(part.etag) === expected.md5)
  )
}

/** The stored parts of an upload, by number; null when the upload no longer exists. */
export async function listParts(
  s3: S3Client,
  upload: MultipartUpload,
  signal: AbortSignal,
  pageSize = 1000,
): Promise<ReadonlyMap<number, StoredPart> | null> {
  const parts = new Map<number, StoredPart>()
  for (let marker: string | undefined; ; ) {
    const command = new ListPartsCommand({
      Bucket: upload.bucket,
      Key: upload.key,
      UploadId: upload.uploadId,
      MaxParts: pageSize,
      PartNumberMarker: marker,
    })
    const answer = await withinSeconds(REQUEST_SECONDS, signal, (abortSignal) =>
      s3.send(command, { abortSignal }),
    ).catch((error) => {
      if (isUploadMissing(error)) return null
      throw error
    })
    if (answer === null) return null
    const page = parseAnswer(partListing, answer, `parts of ${upload.bucket}/${upload.key}`)
    for (const { PartNumber: number, ETag: etag, Size: sizeBytes } of page.Parts)
      parts.set(number, { number, etag, sizeBytes })
    if (page.IsTruncated !== true) return parts
    if (page.NextPartNumberMarker === undefined || page.NextPartNumberMarker === marker)
      throw new TransientError(`the listing of the parts of ${upload.key} does not state where it continues`)
    marker = page.NextPartNumberMarker
  }
}

/** The unfinished uploads of exactly this key, by any client; null where the store states no beginning. */
export async function listUploads(
  s3: S3Client,
  { bucket, key }: ObjectName,
  signal: AbortSignal,
): Promise<readonly { readonly uploadId: string; readonly initiated: Date | null }[]> {
  const found: { uploadId: string; initiated: Date | null }[] = []
  for (let marker: { KeyMarker?: string; UploadIdMarker?: string } | null = {}; marker !== null; ) {
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
      Bucket: bucket,
      Prefix: key,
      ...marker,
    })
    const answer = await withinSeconds(REQUEST_SECONDS, signal, (abortSignal) =>
      s3.send(command, { abortSignal }),
    )
    const page = parseAnswer(uploadListing, answer, `unfinished uploads of ${bucket}/${key}`)
    for (const upload of page.Uploads)
      if (upload.Key === key) found.push({ uploadId: upload.UploadId, initiated: upload.Initiated ?? null })
    // Longer keys with the same prefix follow: the first of them ends the search.
    const { NextKeyMarker: nextKey, NextUploadIdMarker: nextUpload } = page
    const more = page.IsTruncated === true && nextKey === key && nextUpload !== undefined
    marker = more ? { KeyMarker: key, UploadIdMarker: nextUpload } : null
  }
  return found
}

/**
 * Combines the parts: only now there is an object under the key. Ceph 16 replaces an object whatever the condition
 * of the request is, so the key is also checked right before.
 */
export async function completeMultipart(
  s3: S3Client,
  upload: MultipartUpload,
  parts: readonly StoredPart[],
  { replace }: { readonly replace: boolean },
  signal: AbortSignal,
): Promise<SendOutcome> {
  if (!replace && (await describeObject(s3, upload, signal)) !== null) return 'occupied'
  const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }))
  try {
    const answer = await unlessOccupied(replace, (condition) => {
      const command = new CompleteMultipartUploadCommand({
        Bucket: upload.bucket,
        Key: upload.key,
        UploadId: upload.uploadId,
        MultipartUpload: { Parts },
        ...condition,
      })
      return withinSeconds(COMPLETION_SECONDS, signal, (abortSignal) => s3.send(command, { abortSignal }))
    })
    return answer === null ? 'occupied' : 'stored'
  } catch (error) {
    // Also when the answer to an earlier attempt was lost: the caller checks the object under the key.
    if (isUploadMissing(error)) return 'gone'
    throw error
  }
}

/** Aborts an upload and deletes its parts; it is not an error if the upload no longer exists. */
export async function abortMultipart(
  s3: S3Client,
  { bucket, key, uploadId }: Pick<MultipartUpload, 'bucket' | 'key' | 'uploadId'>,
  signal: AbortSignal,
): Promise<void> {
  const command = new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId })
  await withinSeconds(REQUEST_SECONDS, signal, (abortSignal) => s3.send(command, { abortSignal })).catch(
    (error) => {
      if (!isUploadMissing(error) && statusOf(error) !== 404) throw error
    },
  )
}

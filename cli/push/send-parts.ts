/**
 * Sends a file in parts, and resumes an interrupted push of the same content (after a kill, a lost network, a
 * crash of the machine). A part that the store already has is reused only if it agrees with that of the file.
 */
import { resolve } from 'node:path'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import {
  abortMultipart,
  completeMultipart,
  createMultipart,
  holds,
  isUploadMissing,
  listParts,
  listUploads,
  type MultipartUpload,
  type SendOutcome,
  type StoredPart,
  sendPart,
} from '../../shared/storage/multipart.ts'
import { statusOf } from '../../shared/storage/send-body.ts'
import { partRange } from '../../shared/storage/upload-layout.ts'
import type { Sending } from './sending.ts'
import type { UploadState } from './upload-state.ts'

/**
 * For uploads that were begun but not recorded in the state: the store's clock may differ from ours by so much.
 */
const CLOCK_TOLERANCE_MS = 10 * 60_000

/**
 * Sends the missing parts. The parts become the object when the file is unchanged after the last one.
 */
export async function sendInParts(
  sending: Sending,
): Promise<{ readonly outcome: SendOutcome; readonly etagIsMd5: boolean }> {
  const { s3, signal, file, state, object } = sending
  const { upload, kept } = await resumeOrBegin(sending)
  const { etagIsMd5 } = upload
  for (const part of kept.values()) sending.onKept(part.sizeBytes)
  try {
    const parts = await sendMissing(sending, upload, kept)
    await file.assertUnchanged()
    const outcome = await completeMultipart(s3, upload, parts, object, signal)
    if (outcome === 'occupied') await giveUp(sending, upload)
    return { outcome, etagIsMd5 }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (isUploadMissing(error)) {
      state.remove()
      return { outcome: 'gone', etagIsMd5 }
    }
    // The file has changed, or the store does not accept these parts: the upload cannot be resumed. If aborting
    // it fails too, the state remains and the next push aborts it.
    if (error instanceof InvalidInputError || isUnusable(error)) await giveUp(sending, upload).catch(() => {})
    throw error
  }
}

const isUnusable = (error: unknown) =>
  error instanceof Error &&
  ['InvalidPart', 'InvalidPartOrder', 'EntityTooSmall', 'EntityTooLarge'].includes(error.name)

async function giveUp(
  { s3, state, signal }: Sending,
  upload: Pick<MultipartUpload, 'bucket' | 'key' | 'uploadId'>,
): Promise<void> {
  await abortMultipart(s3, upload, signal)
  state.remove()
}

type Parts = ReadonlyMap<number, StoredPart>

async function resumeOrBegin(
  sending: Sending,
): Promise<{ readonly upload: MultipartUpload; readonly kept: Parts }> {
  const { s3, signal, object, state, checksums, layout } = sending
  const known = state.read()
  if (known !== null && known.uploadId !== null && isSameContent(known, sending)) {
    const upload = {
      bucket: object.bucket,
      key: object.key,
      uploadId: known.uploadId,
      etagIsMd5: known.etagIsMd5,
    }
    const parts = await listParts(s3, upload, signal)
    if (parts !== null) return { upload, kept: verified(sending, upload, parts) }
  }
  await forgetUpload(sending, known)
  const begun: UploadState = {
    bucket: object.bucket,
    key: object.key,
    file: resolve(sending.file.path),
    sizeBytes: sending.file.sizeBytes,
    md5: checksums.md5,
    sha256: checksums.sha256,
    partSizeBytes: layout.partSizeBytes,
    uploadId: null,
    etagIsMd5: true,
    begunAt: new Date().toISOString(),
  }
  state.write(begun)
  const upload = await createMultipart(s3, object, signal)
  state.write({ ...begun, uploadId: upload.uploadId, etagIsMd5: upload.etagIsMd5 })
  return { upload, kept: new Map() }
}

function isSameContent(known: UploadState, { file, checksums, layout }: Sending): boolean {
  return (
    known.sizeBytes === file.sizeBytes &&
    known.md5 === checksums.md5 &&
    known.sha256 === checksums.sha256 &&
    known.partSizeBytes === layout.partSizeBytes
  )
}

function verified({ file, checksums, layout }: Sending, upload: MultipartUpload, parts: Parts): Parts {
  return new Map(
    [...parts].filter(([number, part]) => {
      const md5 = checksums.partMd5s[number - 1]
      const { length } = partRange(file.sizeBytes, layout, number)
      return md5 !== undefined && holds(upload, part, { sizeBytes: length, md5 })
    }),
  )
}

/**
 * Aborts the unfinished upload of an earlier push of this key, when it cannot be used: other content, or the
 * file is already in the store. Uploads of other programs under the same key are not touched.
 */
export async function forgetUpload(
  sending: Pick<Sending, 's3' | 'signal' | 'object' | 'state'>,
  known: UploadState | null,
): Promise<void> {
  if (known === null) return
  const { s3, signal, state, object } = sending
  const { bucket, key } = object
  const uploadIds = known.uploadId === null ? await unnamedUploads(sending, known) : [known.uploadId]
  for (const uploadId of uploadIds)
    await abortMultipart(s3, { bucket, key, uploadId }, signal).catch(unlessForbidden)
  state.remove()
}

/** A DAQ may only have the right to send; the store's own rules then remove unfinished uploads. */
function unlessForbidden(error: unknown): null {
  if (statusOf(error) === 403) return null
  throw error
}

/**
 * Uploads that this program began without recording their ids, because it was killed in between: those of this
 * key, begun since, without a part.
 */
async function unnamedUploads(
  { s3, signal, object }: Pick<Sending, 's3' | 'signal' | 'object'>,
  known: UploadState,
): Promise<readonly string[]> {
  const since = Date.parse(known.begunAt) - CLOCK_TOLERANCE_MS
  const found: string[] = []
  for (const { uploadId, initiated } of (await listUploads(s3, object, signal).catch(unlessForbidden)) ??
    []) {
    if (initiated === null || initiated.getTime() < since) continue
    const parts = await listParts(s3, { ...object, uploadId, etagIsMd5: true }, signal)
    if (parts?.size === 0) found.push(uploadId)
  }
  return found
}

/**
 * Sends the missing parts, several at the same time; the first failure ends the others. Returns all parts in
 * order.
 */
async function sendMissing(
  sending: Sending,
  upload: MultipartUpload,
  kept: Parts,
): Promise<readonly StoredPart[]> {
  const { s3, file, layout, checksums } = sending
  const parts = new Map(kept)
  const missing = checksums.partMd5s
    .flatMap((md5, index) => (kept.has(index + 1) ? [] : [{ number: index + 1, md5 }]))
    .values()
  const stop = new AbortController()
  const signal = AbortSignal.any([sending.signal, stop.signal])
  const worker = async () => {
    for (const { number, md5 } of missing) {
      const { start, length } = partRange(file.sizeBytes, layout, number)
      const body = { sizeBytes: length, md5, open: () => file.read(start, length), onSent: sending.onSent }
      // If the store refuses a part as damaged, the DAQ may have overwritten it meanwhile.
      const part = await sendPart(s3, upload, number, body, signal).catch(async (error) => {
        if (!signal.aborted) await file.assertUnchanged()
        throw error
      })
      parts.set(number, part)
    }
  }
  const workers = Array.from({ length: sending.concurrency }, () =>
    worker().catch((error) => {
      stop.abort(error)
      throw error
    }),
  )
  await Promise.allSettled(workers)
  if (stop.signal.aborted) throw stop.signal.reason
  return checksums.partMd5s.map((_, index) => {
    const part = parts.get(index + 1)
    if (part === undefined) throw new TransientError(`part ${index + 1} was not sent`)
    return part
  })
}

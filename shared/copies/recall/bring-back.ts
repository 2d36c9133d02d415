/**
 * Copies a file that is online at the tape endpoint into the store under its key: the endpoint sends it
 * itself if it can, otherwise it is streamed through this process. An existing object is never replaced. The
 * result is found by checking the key.
 */
import type { Context } from '../../context.ts'
import type { Recall } from '../../database/replica-schema.ts'
import { TransientError } from '../../errors.ts'
import type { ObjectName } from '../../run.ts'
import { presignPut } from '../../storage/links.ts'
import {
  abortMultipart,
  completeMultipart,
  createMultipart,
  type MultipartUpload,
  type StoredPart,
} from '../../storage/multipart.ts'
import { describeObject, type ObjectDescription } from '../../storage/objects.ts'
import type { ObjectToSend } from '../../storage/upload.ts'
import { LARGEST_PART_BYTES } from '../../storage/upload-layout.ts'
import type { TapeDriver, TapeFile } from '../../tape/driver.ts'
import { blame, storeBreaker, tapeReadBreaker } from '../../work/breaker.ts'
import type { Trail } from '../../work/trail.ts'
import type { WithTape } from '../tape/tape-copy.ts'
import { mayUseThirdParty, noteThirdPartyFailure } from '../tape/third-party.ts'
import { checkObject } from '../verify/check-replica.ts'
import { isSmall, putSmall, sendParts, wrongBytesError } from './stream.ts'
import { copyAsPart, findTemporary, removeTemporary, temporaryOf } from './temporary.ts'

/** Long, since the endpoint may serve other requests first. */
export const LINK_SECONDS = 6 * 3600
const ENDING_MS = 30_000
/**
 * Damage in transfer is transient; bytes that are wrong after this many readings are wrong at the endpoint.
 */
export const WRONG_READINGS = 3

export type TransferMethod = 'sent by the endpoint itself' | 'streamed'

/**
 * @throws TransientError when it failed or its result is unknown: the key is checked before the next attempt.
 */
export async function bringBack(
  context: WithTape,
  recall: Recall,
  trail: Trail,
  file: TapeFile,
  signal: AbortSignal,
): Promise<TransferMethod> {
  try {
    return await transferToStore(context, recall, trail, file, signal)
  } catch (error) {
    // An error of the endpoint is attributed to it already.
    throw blame(storeBreaker(recall.bucket), error)
  }
}

async function transferToStore(
  context: WithTape,
  recall: Recall,
  trail: Trail,
  file: TapeFile,
  signal: AbortSignal,
): Promise<TransferMethod> {
  await abortLeftoverUpload(context, recall, trail, signal)
  const object = objectOf(recall)
  const temporary = await sentByEndpoint(context, recall, trail, file, signal).catch(
    async (error: unknown) => {
      await noteThirdPartyFailure(trail, error, context.now())
      throw error
    },
  )
  if (temporary !== null) {
    await uploadInParts(
      context,
      trail,
      object,
      (upload) => copyAsPart(context, temporary, upload, signal),
      signal,
    )
    return 'sent by the endpoint itself'
  }
  const streamed = {
    s3: context.s3,
    object,
    file,
    open: (reading: AbortSignal) => readFromTape(context, file, reading),
  }
  if (isSmall(file)) await putSmall(streamed, () => isOccupied(context, object, signal), signal)
  else await uploadInParts(context, trail, object, (upload) => sendParts(streamed, upload, signal), signal)
  return 'streamed'
}

async function* readFromTape({ tape }: WithTape, file: TapeFile, signal: AbortSignal) {
  try {
    yield* tape.read(file, signal)
  } catch (error) {
    throw blame(tapeReadBreaker(tape.endpoint), error)
  }
}

/** The object, with the checksums as metadata, as `cygnet push` writes them. */
const objectOf = ({ bucket, objectKey: key, md5, sha256, adler32 }: Recall): ObjectToSend => ({
  bucket,
  key,
  metadata: { md5, sha256, adler32 },
  replace: false,
})

/** The verified file under its temporary name; null when the endpoint cannot send it. */
async function sentByEndpoint(
  context: WithTape,
  recall: Recall,
  trail: Trail,
  file: TapeFile,
  signal: AbortSignal,
): Promise<ObjectDescription | null> {
  const { tape } = context
  if (tape.send === undefined || file.sizeBytes === 0 || file.sizeBytes > LARGEST_PART_BYTES) return null
  const left = await verifiedTemporary(context, recall, signal)
  if (left.state === 'verified') return left.object
  if (left.state === 'different') await removeTemporary(context, left.object, signal)
  // The last reading shows whether the file is wrong at the endpoint, or only what the endpoint sends.
  const isLastReading = Number(trail.reference?.wrong ?? 0) === WRONG_READINGS - 1
  if (isLastReading || !mayUseThirdParty(trail, context.now())) return null
  const link = await presignPut(context.publicS3, temporaryOf(recall), {
    seconds: LINK_SECONDS,
    now: context.now(),
  })
  const sending = tape.send(file, link.url, signal).catch((error) => {
    throw blame(tapeReadBreaker(tape.endpoint), error)
  })
  if ((await sending) === 'unsupported') return null
  const sent = await verifiedTemporary(context, recall, signal)
  if (sent.state === 'verified') return sent.object
  if (sent.state === 'missing')
    throw sendFailure(tape, 'the tape endpoint reports that it sent the file, but it is not in the store')
  await removeTemporary(context, sent.object, signal)
  throw wrongBytesError(`other bytes than the catalogue has: ${sent.detail}`)
}

type Temporary =
  | { readonly state: 'missing' }
  | { readonly state: 'verified'; readonly object: ObjectDescription }
  | { readonly state: 'different'; readonly object: ObjectDescription; readonly detail: string }

async function verifiedTemporary(context: WithTape, recall: Recall, signal: AbortSignal): Promise<Temporary> {
  const object = await findTemporary(context, recall, signal)
  if (object === null) return { state: 'missing' }
  const check = await checkObject(context, { ...recall, objectKey: object.key }, 'if-needed', signal)
  if (check.kind === 'verified' && check.object?.etag === object.etag) return { state: 'verified', object }
  if (check.kind === 'different') return { state: 'different', object, detail: check.reason }
  throw sendFailure(context.tape, 'the object that the tape endpoint sent changed while it was compared')
}

const sendFailure = ({ endpoint }: TapeDriver, how: string) =>
  new TransientError(how, { dependency: tapeReadBreaker(endpoint), thirdParty: true })

/** A multipart upload: its id is saved in the task while it lasts; aborted when it cannot be completed. */
async function uploadInParts(
  context: WithTape,
  trail: Trail,
  object: ObjectToSend,
  fill: (upload: MultipartUpload) => Promise<readonly StoredPart[]>,
  signal: AbortSignal,
): Promise<void> {
  const upload = await createMultipart(context.s3, object, signal)
  try {
    await trail.note({ upload: upload.uploadId })
    const parts = await fill(upload)
    const outcome = await completeMultipart(context.s3, upload, parts, object, signal)
    if (outcome === 'occupied') await abortMultipart(context.s3, upload, signal)
  } catch (error) {
    await abortMultipart(context.s3, upload, AbortSignal.timeout(ENDING_MS)).catch((failure) =>
      context.log.warn({ error: failure, key: upload.key }, 'upload-not-aborted'),
    )
    throw error
  }
}

/**
 * Whether there is an object under the key. The writes are conditional on there being none, but some stores
 * silently ignore that condition: so the key is also checked right before.
 */
const isOccupied = async ({ s3 }: WithTape, object: ObjectName, signal: AbortSignal): Promise<boolean> =>
  (await describeObject(s3, object, signal)) !== null

/** Aborts the upload of an earlier attempt that died. Other uploads under the key are not touched. */
async function abortLeftoverUpload(
  { s3 }: Context<'s3'>,
  { bucket, objectKey: key }: Recall,
  trail: Trail,
  signal: AbortSignal,
): Promise<void> {
  const uploadId = trail.reference?.upload
  if (uploadId === undefined) return
  await abortMultipart(s3, { bucket, key, uploadId }, signal)
  await trail.note({ upload: null })
}

/**
 * Removes what a recall that has ended may have left: its unfinished upload and its temporary object, each also
 * if the other cannot be removed.
 */
export async function removeLeftovers(
  context: Context<'s3'>,
  recall: Recall,
  trail: Trail,
  signal: AbortSignal,
): Promise<void> {
  const removed = await Promise.allSettled([
    abortLeftoverUpload(context, recall, trail, signal),
    removeLeftTemporary(context, recall, signal),
  ])
  for (const result of removed) if (result.status === 'rejected') throw result.reason
}

async function removeLeftTemporary(
  context: Context<'s3'>,
  recall: Recall,
  signal: AbortSignal,
): Promise<void> {
  const left = await findTemporary(context, recall, signal)
  if (left !== null) await removeTemporary(context, left, signal)
}

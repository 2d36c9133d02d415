/**
 * Pushes one file into the store: checks the object under its key, computes the checksums, sends the file and
 * compares the store's answer.
 */
import type { S3Client } from '@aws-sdk/client-s3'
import { classify, InvalidInputError, TransientError } from '../../shared/errors.ts'
import { withoutSecrets } from '../../shared/log.ts'
import type { ObjectName } from '../../shared/run.ts'
import { bucketExists } from '../../shared/storage/bucket-exists.ts'
import { describeObject, type ObjectDescription } from '../../shared/storage/objects.ts'
import { withinSeconds } from '../../shared/storage/send-body.ts'
import { layUpload } from '../../shared/storage/upload-layout.ts'
import { checksumFile } from './checksums.ts'
import { type Comparison, compareExisting, compareSent } from './compare.ts'
import { type LocalFile, openLocalFile } from './local-file.ts'
import { type PushResult, RefusedError, resultOf } from './result.ts'
import { sendFile } from './send.ts'
import { forgetUpload } from './send-parts.ts'
import type { Sending } from './sending.ts'
import { openUploadState, type UploadStateFile } from './upload-state.ts'

export interface PushOptions {
  /** Size of a part, bytes, at least 5 MiB; parts are larger when there would be more than 10,000. */
  readonly partSizeBytes: number
  /** Parts sent at once. */
  readonly concurrency: number
  /**
   * Replace whatever object is under the key, also one that seems to be the file: its ETag and metadata remain when
   * its bytes rot.
   */
  readonly overwrite: boolean
  /** Send nothing; only report what would be sent. */
  readonly dryRun: boolean
}

export interface PushProgress {
  readonly file: string
  readonly phase: 'checksums' | 'sending'
  readonly doneBytes: number
  readonly totalBytes: number
}

/** External dependencies of a push. */
export interface PushContext {
  readonly s3: S3Client
  /** The name of the store in the state of unfinished uploads: its host. */
  readonly store: string
  /** The folder with the state of unfinished uploads. */
  readonly stateFolder: string
  readonly signal: AbortSignal
  onProgress?(progress: PushProgress): void
}

const ANSWER_SECONDS = 60

type Outcome = Omit<PushResult, 'file' | 'bucket' | 'key' | 'seconds'>
/** The part of the result that is known so far; an error returns it too. */
type Known = { -readonly [name in keyof Outcome]?: Outcome[name] }

/** Never throws: an error is in the result. The file itself is only read. */
export async function pushFile(
  path: string,
  name: ObjectName,
  options: PushOptions,
  context: PushContext,
): Promise<PushResult> {
  const startedAt = performance.now()
  const known: Known = {}
  let hasParts = false
  try {
    await using file = await openLocalFile(path)
    known.sizeBytes = file.sizeBytes
    using state = openUploadState(context.stateFolder, context.store, name)
    try {
      await pushOpened({ file, name, state, options, context, known })
    } catch (error) {
      hasParts = state.read()?.uploadId != null
      throw error
    }
  } catch (error) {
    known.state = error instanceof RefusedError ? 'refused' : 'failed'
    const what = context.signal.aborted ? 'interrupted' : sentence(error)
    known.failed = known.state === 'failed' && !context.signal.aborted ? failedPart(error) : null
    known.error = hasParts ? `${what}; the parts that arrived are kept: push it again to send the rest` : what
  }
  return resultOf(path, name, { ...known, seconds: (performance.now() - startedAt) / 1000 })
}

/** An error as a sentence for the user. */
function sentence(error: unknown): string {
  return withoutSecrets(classify(error).message)
}

/**
 * The failed part. Problems of the file itself are thrown as invalid input, a file that another process is
 * sending as a conflict.
 */
const failedPart = (error: unknown) => (classify(error) instanceof TransientError ? 'store' : 'file')

interface Work {
  readonly file: LocalFile
  readonly name: ObjectName
  readonly state: UploadStateFile
  readonly options: PushOptions
  readonly context: PushContext
  readonly known: Known
}

async function pushOpened(work: Work): Promise<void> {
  const { file, name, state, options, context, known } = work
  const existing = await describe(work)
  if (existing !== null && existing.sizeBytes !== file.sizeBytes && !options.overwrite)
    throw occupied(name, existing, `it has ${existing.sizeBytes} bytes, the file ${file.sizeBytes}`)
  // Checked before the checksums, which may take hours.
  if (existing === null) await assertBucket(work)
  const unfinished = state.read()
  // An unfinished upload is resumed with its part size.
  const begunWith = unfinished?.sizeBytes === file.sizeBytes ? unfinished.partSizeBytes : null
  const layout = layUpload(file.sizeBytes, begunWith ?? options.partSizeBytes)
  known.partCount = layout.partCount
  known.state = 'would-upload'
  if (options.dryRun && existing === null) return

  const report = (doneBytes: number) =>
    context.onProgress?.({ file: file.path, phase: 'checksums', doneBytes, totalBytes: file.sizeBytes })
  const checksums = await checksumFile(file, layout, report, context.signal)
  await file.assertUnchanged()
  const { md5, sha256, adler32 } = checksums
  Object.assign(known, { md5, sha256, adler32 })
  const object = { ...name, metadata: { md5, sha256, adler32 }, replace: options.overwrite }

  const comparison =
    existing === null ? null : compareExisting(existing, { ...checksums, sizeBytes: file.sizeBytes })
  if (comparison !== null && isSameFile(comparison) && !options.overwrite) {
    if (!options.dryRun)
      await forgetUpload({ s3: context.s3, signal: context.signal, object, state }, unfinished)
    Object.assign(known, { state: 'already-there', verifiedBy: ['size', ...comparison.agrees] })
    return
  }
  if (existing !== null && comparison !== null && !options.overwrite)
    throw notThisFile(name, existing, comparison)
  if (!options.dryRun) await sendAndCompare(work, { object, checksums, layout })
}

type ToSend = Pick<Sending, 'object' | 'checksums' | 'layout'>

/** Sends at most twice: an upload that was aborted by another process is restarted once. */
async function sendAndCompare(work: Work, toSend: ToSend, again = true): Promise<void> {
  const { file, name, state, known } = work
  const expected = { ...toSend.checksums, sizeBytes: file.sizeBytes }
  const { outcome, etagIsMd5 } = await sendFile(sendingOf(work, toSend))
  const object = await describe(work)
  if (outcome === 'stored') {
    state.remove()
    if (object === null)
      throw new TransientError(
        'the store accepted the file, but there is no object; keep the file and push it again',
      )
    const { agrees, differs, unknown } = compareSent(object, expected, { etagIsMd5 })
    if (differs.length > 0) throw differsFromSent(differs)
    await file.assertUnchanged().catch((error: Error) => {
      throw new InvalidInputError(
        `${error.message}; the object in the store has the earlier contents of the file`,
      )
    })
    Object.assign(known, { state: 'uploaded', verifiedBy: agrees, warning: unknown })
    return
  }
  const comparison = object === null ? null : compareExisting(object, expected)
  if (object !== null && comparison !== null && comparison.differs.length === 0) {
    // It is from this push when the answer to an earlier attempt was lost, else from another uploader.
    const asSent = compareSent(object, expected, { etagIsMd5 })
    const isSent = asSent.differs.length === 0
    if (isSent || isSameFile(comparison)) {
      state.remove()
      Object.assign(
        known,
        isSent
          ? { state: 'uploaded', verifiedBy: asSent.agrees, warning: asSent.unknown }
          : { state: 'already-there', verifiedBy: ['size', ...comparison.agrees] },
      )
      return
    }
  }
  if (outcome === 'gone' && again) return await sendAndCompare(work, toSend, false)
  if (outcome === 'occupied' && object !== null && comparison !== null)
    throw notThisFile(name, object, comparison)
  throw new TransientError('the upload was aborted by another process; push the file again')
}

function sendingOf({ file, state, options, context, known }: Work, toSend: ToSend): Sending {
  let doneBytes = 0
  const count = (bytes: number) => {
    doneBytes += bytes
    context.onProgress?.({ file: file.path, phase: 'sending', doneBytes, totalBytes: file.sizeBytes })
  }
  return {
    ...toSend,
    s3: context.s3,
    file,
    state,
    concurrency: options.concurrency,
    signal: context.signal,
    onSent(bytes) {
      known.sentBytes = (known.sentBytes ?? 0) + bytes
      count(bytes)
    },
    onKept: count,
  }
}

const differsFromSent = (differs: readonly string[]) =>
  new TransientError(
    `the stored object differs from the file: ${differs.join('; ')}. The object was not deleted; keep the file, and inform the operators of the store`,
  )

const describe = ({ context, name }: Work) =>
  withinSeconds(ANSWER_SECONDS, context.signal, (signal) => describeObject(context.s3, name, signal))

async function assertBucket({ context: { s3, signal }, name: { bucket } }: Work): Promise<void> {
  const exists = await withinSeconds(ANSWER_SECONDS, signal, (limited) => bucketExists(s3, bucket, limited))
  if (!exists) throw new TransientError(`there is no bucket ${bucket} in this store`, { operator: true })
}

const isSameFile = ({ differs, unknown }: Comparison) => differs.length === 0 && unknown === null

const notThisFile = (name: ObjectName, object: ObjectDescription, { differs, unknown }: Comparison) =>
  differs.length > 0 || unknown === null
    ? occupied(name, object, differs.join('; '))
    : new RefusedError(
        `${name.bucket}/${name.key} has an object of the same size, of ${dateOf(object)}: ${unknown}. The object is kept; keep the file too. --overwrite replaces the object`,
      )

const occupied = (name: ObjectName, object: ObjectDescription, why: string) =>
  new RefusedError(
    `${name.bucket}/${name.key} is another object, of ${dateOf(object)}: ${why}. Was the run number used again? The object is kept; --overwrite replaces it, --key gives the file another key`,
  )

const dateOf = ({ lastModified }: ObjectDescription) =>
  lastModified === null ? 'unknown date' : timeOf(lastModified)

const timeOf = (at: Date) => `${at.toISOString().slice(0, 19)} UTC`

/**
 * Removes one file of a run from the DAQ's disk, when no data can be lost. Everything is checked again in this
 * call: the bytes of the file, the object in the store, a copy on tape (by the API), and the file on disk
 * immediately before its removal.
 */
import { unlinkSync } from 'node:fs'
import type { S3Client } from '@aws-sdk/client-s3'
import { classify, InvalidInputError } from '../../shared/errors.ts'
import { withoutSecrets } from '../../shared/log.ts'
import type { ObjectName } from '../../shared/run.ts'
import { describeObject } from '../../shared/storage/objects.ts'
import { withinSeconds } from '../../shared/storage/send-body.ts'
import { layUpload } from '../../shared/storage/upload-layout.ts'
import { checksumFile, type FileChecksums } from '../push/checksums.ts'
import { compareCatalogued } from '../push/compare.ts'
import { type LocalFile, openLocalFile } from '../push/local-file.ts'
import type { DeletionLog, DeletionRecord } from './deletion-log.ts'
import { type FileOnDisk, type Permission, type SafetyPort, TOO_LATE } from './safety.ts'
import { isThere, type RunFileFound } from './scan.ts'
import { findWriters } from './writers.ts'

export type Deletion =
  | {
      readonly kind: 'deleted'
      readonly sha256: string
      readonly reason: string
      readonly warning: string | null
    }
  /** The file is kept, for a reason that may be temporary. */
  | { readonly kind: 'kept'; readonly reason: string }
  /** An error of the `file` or this disk, or of `others`: the store or the API does not answer. */
  | { readonly kind: 'failed'; readonly with: 'file' | 'others'; readonly reason: string }

export interface DeletionContext {
  readonly s3: S3Client
  readonly safety: SafetyPort
  readonly log: DeletionLog
  /** Size of the parts in which files are sent here, bytes: the ETags of objects in parts follow from it. */
  readonly partSizeBytes: number
  readonly now: () => Date
  readonly signal: AbortSignal
}

/**
 * The contents of this version of the file when it was sent: a hint, so that files that are not safe need not be
 * read.
 */
export interface KnownContent extends ObjectName {
  readonly sha256: string
}

const ANSWER_SECONDS = 60

/** Thrown in this module when the file is kept. */
class KeptError extends Error {}

/** Never throws: an error is in the result, and unless it is `deleted` the file is still there. */
export async function deleteWhenSafe(
  found: RunFileFound,
  known: KnownContent,
  context: DeletionContext,
): Promise<Deletion> {
  const removal: Removal = { isDone: false, unreported: null, warning: null }
  try {
    const { bucket, key, sha256 } = known
    const before = await context.safety.safetyOf(
      { bucket, key, sha256, sizeBytes: found.sizeBytes },
      context.signal,
    )
    if (!before.safe) return { kind: 'kept', reason: before.reason }
    await using file = await openLocalFile(found.path)
    assertThere(found)
    const checksums = await checksumFile(
      file,
      layUpload(file.sizeBytes, context.partSizeBytes),
      () => {},
      context.signal,
    )
    if (checksums.sha256 !== sha256) throw new InvalidInputError(`${found.path} ${DECAYED}`)
    await assertInStore({ bucket, key }, file, checksums, context)
    await file.assertUnchanged()
    const onDisk = { bucket, key, sha256: checksums.sha256, sizeBytes: file.sizeBytes, path: found.path }
    const remove = (permission: Permission) => removeFile(found, onDisk, permission, context, removal)
    const { safe, reason } = await context.safety.removeWhenSafe(onDisk, remove, context.signal)
    logReported(removal, context)
    return safe ? { kind: 'deleted', sha256, reason, warning: removal.warning } : { kind: 'kept', reason }
  } catch (error) {
    if (removal.isDone)
      return {
        kind: 'deleted',
        sha256: known.sha256,
        reason: 'it was safe',
        warning: `not recorded: ${sentence(error)}`,
      }
    if (error instanceof KeptError) return { kind: 'kept', reason: error.message }
    if (context.signal.aborted) return { kind: 'kept', reason: 'interrupted' }
    return {
      kind: 'failed',
      with: classify(error) instanceof InvalidInputError ? 'file' : 'others',
      reason: sentence(error),
    }
  }
}

const DECAYED =
  'has other contents than when it was sent, although its size and date are the same: is the disk failing?'

const sentence = (error: unknown) => withoutSecrets(classify(error).message)

/**
 * Compares the file with the present object in the store. The API checks that this is the catalogued object.
 */
async function assertInStore(
  name: ObjectName,
  file: LocalFile,
  checksums: FileChecksums,
  { s3, signal }: DeletionContext,
) {
  const object = await withinSeconds(ANSWER_SECONDS, signal, (limited) => describeObject(s3, name, limited))
  if (object === null) throw new KeptError('it is missing in the store, although the catalogue has it there')
  const { differs, unknown } = compareCatalogued(object, { ...checksums, sizeBytes: file.sizeBytes })
  if (differs.length > 0)
    throw new InvalidInputError(`the object in the store is not this file: ${differs.join('; ')}`)
  if (unknown !== null) throw new KeptError(`the object in the store may be another one: ${unknown}`)
}

function assertThere(found: RunFileFound): void {
  if (!isThere(found)) throw new KeptError('it has just changed, or was removed')
}

/** The state of the removal, also needed when a later step fails. */
interface Removal {
  isDone: boolean
  /** The last log line, while the outcome of the permission is not reported to the catalogue. */
  unreported: DeletionRecord | null
  warning: string | null
}

/** Logs the removal, checks the file a last time, unlinks it, and checks the result. */
function removeFile(
  found: RunFileFound,
  about: FileOnDisk,
  permission: Permission,
  { log, now }: DeletionContext,
  removal: Removal,
): void {
  const writer = findWriters([found]).get(found)
  if (writer !== undefined) throw new KeptError(`${writer} has it open for writing`)
  const record = (state: DeletionRecord['state'], why: string) => {
    const line = {
      ...about,
      at: now().toISOString(),
      state,
      why,
      permission: permission.id,
    }
    explainFailure('the log of deletions cannot be written', () => log.append(line))
    removal.unreported = line
  }
  record('intended', permission.reason)
  try {
    // These steps are synchronous: the checks and the removal follow each other within microseconds.
    if (permission.isOver()) throw new KeptError(TOO_LATE)
    assertThere(found)
    explainFailure(`${found.path} cannot be removed`, () => unlinkSync(found.path))
    if (isThere(found))
      throw new InvalidInputError(`${found.path} was removed without an error and is still there`)
  } catch (error) {
    record('not-deleted', sentence(error))
    throw error
  }
  removal.isDone = true
  try {
    record('deleted', permission.reason)
  } catch (error) {
    removal.warning = sentence(error) // the line `intended` is enough
  }
}

/**
 * Logs that the outcome of the permission was reported to the catalogue, so that the next start does not repeat
 * the report. If this line is lost, the report is repeated.
 */
function logReported(removal: Removal, { log, now }: DeletionContext): void {
  if (removal.unreported === null) return
  try {
    log.append({ ...removal.unreported, at: now().toISOString(), state: 'told' })
  } catch (error) {
    removal.warning ??= sentence(error)
  }
}

/** Turns an error of the disk into invalid input: it concerns this file and is not temporary. */
function explainFailure(what: string, act: () => void): void {
  try {
    act()
  } catch (error) {
    throw new InvalidInputError(`${what}: ${(error as Error).message}`, {}, { cause: error })
  }
}

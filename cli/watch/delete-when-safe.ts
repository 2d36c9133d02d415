/**
 * Removes one file of a run from the DAQ's disk, when that cannot lose anything. Everything is looked at anew
 * in this one call: the file's bytes; the object in the store and a copy on tape, by whoever reaches them;
 * and the name on disk in the moment before it goes.
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
import { contradictions } from '../push/compare.ts'
import { type LocalFile, openLocalFile } from '../push/local-file.ts'
import type { DeletionLog, DeletionRecord } from './deletion-log.ts'
import { type FileOnDisk, type Permission, type SafetyPort, TOO_LATE } from './safety.ts'
import { isThere, type RunFileFound } from './scan.ts'
import { findWriters } from './writers.ts'

export type Deletion =
  | { readonly is: 'deleted'; readonly sha256: string; readonly why: string; readonly warning: string | null }
  /** It stays, for a reason that may pass. */
  | { readonly is: 'kept'; readonly why: string }
  /** Something is wrong with the `file` or this disk; or `others` that were asked do not answer. */
  | { readonly is: 'failed'; readonly with: 'file' | 'others'; readonly error: string }

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
 * What was found when this version of the file was sent: a hint that saves reading files that are not safe
 * anyway.
 */
export interface KnownContent extends ObjectName {
  readonly sha256: string
}

const ANSWER_SECONDS = 60

/** Thrown inside: the file stays. */
class Kept extends Error {}

/** Never throws: what goes wrong is in the answer, and unless that is `deleted` the file is still there. */
export async function deleteWhenSafe(
  found: RunFileFound,
  known: KnownContent,
  context: DeletionContext,
): Promise<Deletion> {
  const removal: Removal = { isDone: false, toTell: null, warning: null }
  try {
    const { bucket, key, sha256 } = known
    const before = await context.safety.safetyOf(
      { bucket, key, sha256, sizeBytes: found.sizeBytes },
      context.signal,
    )
    if (!before.safe) return { is: 'kept', why: before.why }
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
    const { safe, why } = await context.safety.forget(onDisk, remove, context.signal)
    noteTold(removal, context)
    return safe ? { is: 'deleted', sha256, why, warning: removal.warning } : { is: 'kept', why }
  } catch (error) {
    if (removal.isDone)
      return {
        is: 'deleted',
        sha256: known.sha256,
        why: 'it was safe',
        warning: `not written down: ${sentence(error)}`,
      }
    if (error instanceof Kept) return { is: 'kept', why: error.message }
    if (context.signal.aborted) return { is: 'kept', why: 'interrupted' }
    return {
      is: 'failed',
      with: classify(error) instanceof InvalidInputError ? 'file' : 'others',
      error: sentence(error),
    }
  }
}

const DECAYED =
  'has other contents than when it was sent, though neither its size nor its date changed: is the disk failing?'

const sentence = (error: unknown) => withoutSecrets(classify(error).message)

/**
 * The store's own word, now. That it is the very object that was catalogued is for those to say who permit
 * the removal.
 */
async function assertInStore(
  name: ObjectName,
  file: LocalFile,
  checksums: FileChecksums,
  { s3, signal }: DeletionContext,
) {
  const object = await withinSeconds(ANSWER_SECONDS, signal, (limited) => describeObject(s3, name, limited))
  if (object === null) throw new Kept('the catalogue has it in the store, and it is not there')
  const differs = contradictions(object, { ...checksums, sizeBytes: file.sizeBytes })
  if (differs.length > 0)
    throw new InvalidInputError(`the object in the store is not this file: ${differs.join('; ')}`)
}

function assertThere(found: RunFileFound): void {
  if (!isThere(found)) throw new Kept('it has just changed, or was taken away')
}

/** What became of the file, also when something fails afterwards. */
interface Removal {
  isDone: boolean
  /** The last line about it while the catalogue does not know yet what came of its permission. */
  toTell: DeletionRecord | null
  warning: string | null
}

/** Writes it down, looks a last time, unlinks, and looks at the result. */
function removeFile(
  found: RunFileFound,
  about: FileOnDisk,
  permission: Permission,
  { log, now }: DeletionContext,
  removal: Removal,
): void {
  const writer = findWriters([found]).get(found)
  if (writer !== undefined) throw new Kept(`${writer} has it open for writing`)
  const record = (state: DeletionRecord['state'], why: string) => {
    const line = {
      ...about,
      at: now().toISOString(),
      state,
      why,
      permission: permission.id,
    }
    orSay('the log of deletions cannot be written to', () => log.append(line))
    removal.toTell = line
  }
  record('intended', permission.why)
  try {
    // Nothing of ours runs between the looks and the removal: they follow each other within microseconds.
    if (permission.isOver()) throw new Kept(TOO_LATE)
    assertThere(found)
    orSay(`${found.path} cannot be removed`, () => unlinkSync(found.path))
    if (isThere(found))
      throw new InvalidInputError(`${found.path} was removed without an error and is still there`)
  } catch (error) {
    record('not-deleted', sentence(error))
    throw error
  }
  removal.isDone = true
  try {
    record('deleted', permission.why)
  } catch (error) {
    removal.warning = sentence(error) // the line before this one says enough
  }
}

/**
 * The catalogue was told what came of the permission: the next start need not do it. When this is lost, it is
 * told twice.
 */
function noteTold(removal: Removal, { log, now }: DeletionContext): void {
  if (removal.toTell === null) return
  try {
    log.append({ ...removal.toTell, at: now().toISOString(), state: 'told' })
  } catch (error) {
    removal.warning ??= sentence(error)
  }
}

/** What the disk refuses is about this file, and does not pass by itself. */
function orSay(what: string, act: () => void): void {
  try {
    act()
  } catch (error) {
    throw new InvalidInputError(`${what}: ${(error as Error).message}`, {}, { cause: error })
  }
}

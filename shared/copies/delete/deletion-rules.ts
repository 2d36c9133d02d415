/**
 * The conditions of the catalogue and of the store under which a run's copy in the store may be deleted, and
 * the results of a deletion.
 */

import { findArrival } from '../../catalogue/arrivals.ts'
import { RECALL_WANTED } from '../../catalogue/replica-states.ts'
import type { Context } from '../../context.ts'
import type { Executor } from '../../database/connect.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { RunFile } from '../../database/schema.ts'
import type { ObjectVersion } from '../../run.ts'
import { hasOtherVersions } from '../../storage/delete-object.ts'
import { describeObject } from '../../storage/objects.ts'

/**
 * Why a copy is kept. busy: another function works on it, or it changed meanwhile. not-live: the catalogue
 * shows other contents for the key. mismatch: a stated checksum disagrees. recalled: a recall of it is in
 * force. not-in-store: there is nothing to delete. changed: the store holds another object. young: it was
 * stored lately. other-versions: the bucket would show an older version in its place. no-verified-copy: no
 * copy on tape could be verified now. still-there: the store still has it after the deletion.
 */
export interface Refusal {
  readonly kind: 'refused'
  readonly code: RefusalCode
  /** A sentence for people. */
  readonly reason: string
}

export type RefusalCode =
  | 'busy'
  | 'not-live'
  | 'mismatch'
  | 'recalled'
  | 'not-in-store'
  | 'changed'
  | 'young'
  | 'other-versions'
  | 'no-verified-copy'
  | 'still-there'

export interface Deleted {
  readonly kind: 'deleted'
  readonly tombstoneId: number
  /** Address of the copy on tape that was verified in the call that deleted. */
  readonly survivorUrl: string
  /** Anything unusual about the deletion. */
  readonly note: string | null
}

export type CloudDeletion = Deleted | Refusal

export const refused = (code: RefusalCode, reason: string): Refusal => ({ kind: 'refused', code, reason })

/**
 * Minimum age of an object that is deleted automatically, however full the store is: a repeated drop usually
 * follows soon after the first, and some stores have no conditional deletion (docs/adr/0009-deletion.md). A
 * run that an operator names is deleted whatever its age.
 */
export const MIN_AGE_MS = 86_400_000

/** The version of the object that may be deleted by the rules of the catalogue, or the refusal. */
export async function permittedVersion(
  executor: Executor,
  replica: Replica,
  at: Date,
): Promise<ObjectVersion | Refusal> {
  const live = await executor
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .selectAll('runFiles')
    .select('runs.integrity as runIntegrity')
    .where('bucket', '=', replica.bucket)
    .where('objectKey', '=', replica.objectKey)
    .where('isLive', '=', true)
    .execute()
  const [file, ...more] = live
  if (file === undefined || more.length > 0 || file.sha256 !== replica.sha256 || file.runId !== replica.runId)
    return refused('not-live', 'these are not the contents that the catalogue shows for the key')
  if (file.sizeBytes !== replica.sizeBytes || file.md5 !== replica.md5 || file.adler32 !== replica.adler32)
    return refused(
      'not-live',
      'the catalogue contradicts itself about the size or checksums of these contents',
    )
  if (file.integrity === 'mismatch' || file.runIntegrity === 'mismatch')
    return refused(
      'mismatch',
      'a checksum of the run disagrees with what was stated for it: somebody has to check it first',
    )
  if (await isRecalled(executor, replica, at))
    return refused('recalled', 'the run was recalled and is kept in the store until the recall expires')
  return versionOfFile(file)
}

export const versionOfFile = (file: RunFile): ObjectVersion => ({
  bucket: file.bucket,
  key: file.objectKey,
  etag: file.etag,
  versionId: file.versionId,
  sizeBytes: file.sizeBytes,
  lastModified: file.lastModified,
})

/** Whether it is the catalogued version, whose bytes were read whole. */
export const isSameVersion = (object: ObjectVersion, version: ObjectVersion): boolean =>
  object.etag === version.etag &&
  object.versionId === version.versionId &&
  object.sizeBytes === version.sizeBytes

export const OTHER_OBJECT = 'the store holds another object than the one that was catalogued'

async function isRecalled(executor: Executor, replica: Replica, at: Date): Promise<boolean> {
  const recall = await executor
    .selectFrom('shownRecalls')
    .select('id')
    .where('bucket', '=', replica.bucket)
    .where('objectKey', '=', replica.objectKey)
    .where('state', 'in', RECALL_WANTED)
    .where('expiresAt', '>', at)
    .limit(1)
    .executeTakeFirst()
  return recall !== undefined
}

/**
 * The object as the store describes it now, or why it may not be deleted. @throws TransientError also when the
 * store does not have the bucket.
 */
export async function versionInStore(
  context: Context<'database' | 's3'>,
  version: ObjectVersion,
  minAgeMs: number,
  signal: AbortSignal,
): Promise<ObjectVersion | Refusal> {
  const object = await describeObject(context.s3, version, signal)
  if (object === null) return refused('not-in-store', 'the store holds no object under the key')
  if (!isSameVersion(object, version)) return refused('changed', OTHER_OBJECT)
  if (object.lastModified === null || version.lastModified === null)
    return refused('young', 'the store does not state since when it has it')
  // The catalogue's date counts too, in case the store changes its own; and when the object arrived, in case the
  // store's clock is behind.
  const arrived = await findArrival(context.database, version)
  const dates = [object.lastModified, version.lastModified, ...(arrived === null ? [] : [arrived.receivedAt])]
  const ageMs = context.now().getTime() - Math.max(...dates.map((date) => date.getTime()))
  if (ageMs < minAgeMs)
    return refused(
      'young',
      `it has been in the store for only ${Math.max(0, Math.round(ageMs / 60_000))} minutes`,
    )
  if (object.versionId !== null && (await hasOtherVersions(context.s3, object, signal)))
    return refused(
      'other-versions',
      'the bucket keeps other versions of the key, and one of them would replace it',
    )
  return object
}

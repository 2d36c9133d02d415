/** Tombstones: the evidence of a deletion, written before the object is deleted and ended after it. */
import type { Database, Executor } from '../../database/connect.ts'
import type { Evidence, Replica, Tombstone } from '../../database/replica-schema.ts'
import type { ObjectVersion } from '../../run.ts'
import { cutText } from '../../text.ts'
import type { Survivor } from './surviving-copy.ts'

export interface NewTombstone {
  readonly replica: Replica
  readonly version: ObjectVersion
  readonly survivor: Survivor
  readonly reason: string
  readonly writtenBy: string
}

/** @returns the row's id. */
export async function writeTombstone(
  executor: Executor,
  { replica, version, survivor, ...more }: NewTombstone,
  at: Date,
): Promise<number> {
  const result = await executor
    .insertInto('tombstones')
    .values({
      replicaId: replica.id,
      runId: replica.runId,
      bucket: replica.bucket,
      objectKey: replica.objectKey,
      url: replica.url,
      etag: version.etag,
      versionId: version.versionId,
      sizeBytes: replica.sizeBytes,
      sha256: replica.sha256,
      reason: cutText(more.reason, 255),
      survivorId: survivor.replica.id,
      survivorUrl: survivor.replica.url,
      survivorVerifiedBy: survivor.verifiedBy,
      survivorVerifiedAt: survivor.verifiedAt,
      survivorEvidence: survivor.evidence,
      writtenBy: more.writtenBy,
      writtenAt: at,
      state: 'intended',
    })
    .executeTakeFirstOrThrow()
  return Number(result.insertId)
}

/** Gives an open tombstone the new evidence when its deletion was decided again. */
export async function renewTombstone(
  executor: Executor,
  id: number,
  { survivor, writtenBy }: Pick<NewTombstone, 'survivor' | 'writtenBy'>,
  at: Date,
): Promise<void> {
  await executor
    .updateTable('tombstones')
    .set({
      survivorId: survivor.replica.id,
      survivorUrl: survivor.replica.url,
      survivorVerifiedBy: survivor.verifiedBy,
      survivorVerifiedAt: survivor.verifiedAt,
      survivorEvidence: survivor.evidence,
      writtenBy,
      writtenAt: at,
    })
    .where('id', '=', id)
    .where('state', '=', 'intended')
    .execute()
}

export const findTombstone = async (executor: Executor, id: number): Promise<Tombstone | null> =>
  (await executor.selectFrom('tombstones').selectAll().where('id', '=', id).executeTakeFirst()) ?? null

/** The tombstones of a copy whose deletion was started and not ended, the latest last. */
export const openTombstones = (executor: Executor, replicaId: number): Promise<readonly Tombstone[]> =>
  executor
    .selectFrom('tombstones')
    .selectAll()
    .where('replicaId', '=', replicaId)
    .where('state', '=', 'intended')
    .orderBy('id')
    .execute()

export type TombstoneEnd = { readonly note: string | null } & (
  | { readonly state: 'withdrawn' }
  /** `endEvidence`: what it rests on that the copy is deleted. */
  | { readonly state: 'deleted'; readonly endEvidence: Evidence }
)

/** Ends one tombstone; one that has ended is not changed. */
export async function endTombstone(
  executor: Executor,
  id: number,
  end: TombstoneEnd,
  at: Date,
): Promise<void> {
  await executor
    .updateTable('tombstones')
    .set({ ...end, endedAt: at })
    .where('id', '=', id)
    .where('state', '=', 'intended')
    .execute()
}

/** Withdraws the open tombstones of a copy, all of them or those of one writer: the copy still exists. */
export async function withdrawTombstones(
  executor: Executor,
  replicaId: number,
  note: string,
  at: Date,
  writtenBy?: string,
): Promise<void> {
  await executor
    .updateTable('tombstones')
    .set({ state: 'withdrawn', note, endedAt: at })
    .where('replicaId', '=', replicaId)
    .where('state', '=', 'intended')
    .$if(writtenBy !== undefined, (query) => query.where('writtenBy', '=', writtenBy as string))
    .execute()
}

/** Longer than any function lives. */
const STRANDED_MS = 3_600_000

/**
 * Ends tombstones whose function died and whose copy has since changed its state: another object was stored
 * under the key and catalogued before the deletion was checked. Those of copies in `deleting` are left to
 * `settleDeletion`. @returns how many.
 */
export async function endStrandedTombstones(database: Database, at: Date): Promise<number> {
  const stranded = await database
    .selectFrom('tombstones')
    .innerJoin('replicas', 'replicas.id', 'tombstones.replicaId')
    .select(['tombstones.id', 'replicas.state'])
    .where('tombstones.state', '=', 'intended')
    .where('tombstones.writtenAt', '<', new Date(at.getTime() - STRANDED_MS))
    .where('replicas.state', '!=', 'deleting')
    .limit(500)
    .execute()
  for (const { id, state } of stranded)
    await endTombstone(
      database,
      id,
      state === 'present'
        ? { state: 'withdrawn', note: 'the contents were catalogued in the store again' }
        : {
            state: 'deleted',
            endEvidence: 'inference',
            note: `the copy is ${state}; it is not known whether it was deleted or replaced first`,
          },
      at,
    )
  return stranded.length
}

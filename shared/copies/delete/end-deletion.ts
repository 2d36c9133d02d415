/** How a deletion ends: the row, its tombstone and the run's history are updated in one transaction. */
import type { Transaction } from 'kysely'
import { stateWithoutDeletion, type Weighed, weigh } from '../../catalogue/evidence.ts'
import { type Claim, endClaim } from '../../catalogue/replica-work.ts'
import { lockRunOfReplica, refreshStorage } from '../../catalogue/replicas.ts'
import { addHistory } from '../../catalogue/runs.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { Schema } from '../../database/schema.ts'
import { ConflictError } from '../../errors.ts'
import type { ObjectVersion } from '../../run.ts'
import { findVersion } from '../../storage/delete-object.ts'
import { verifyReplica } from '../verify/verify.ts'
import type { Deleted, Refusal } from './deletion-rules.ts'
import { endTombstone, openTombstones, withdrawTombstones } from './tombstones.ts'

/** The cleaner tries a copy that may not be deleted again after this long. */
export const RETRY_AFTER_MS = 6 * 3_600_000

/** A time limit well below the lease: our request ends before another function may take the copy. */
export function requestTimeout({ config }: Context, held?: AbortSignal): AbortSignal {
  const limit = AbortSignal.timeout(config.work.leaseSeconds * 250)
  return held === undefined ? limit : AbortSignal.any([held, limit])
}

/** Records that the object is deleted. @param detail for the run's history. */
export async function recordDeleted(
  context: Context<'database'>,
  claim: Claim,
  deletion: Deleted,
  detail: string,
): Promise<Deleted> {
  const at = context.now()
  const { tombstoneId, note } = deletion
  const end = { state: 'deleted', endEvidence: 'existence', note } as const
  const change = {
    state: 'deleted' as const,
    deletedAt: at,
    checkedAt: at,
    nextAttemptAt: null,
    lastError: null,
  }
  const history = { what: 'deleted from the store', detail: note === null ? detail : `${detail} (${note})` }
  try {
    await endClaim(
      context.database,
      claim,
      { change, note: history, also: (trx) => endTombstone(trx, tombstoneId, end, at) },
      at,
    )
  } catch (error) {
    // The row now belongs to another object; this one was deleted all the same.
    if (!(error instanceof ConflictError)) throw error
    await endTombstone(context.database, tombstoneId, end, at)
  }
  return deletion
}

/**
 * Records that the copy is kept, and withdraws what was started. When the row was lost to another function,
 * only our tombstone is withdrawn. A copy whose deletion `failed` twice is postponed as a refused one is, so
 * that it does not block the others.
 */
export async function recordKept(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  claim: Claim,
  refusal: Refusal,
  failed = false,
): Promise<Refusal> {
  const { database } = context
  const { id, attempts } = claim.replica
  const at = context.now()
  const isPostponed = failed ? attempts > 0 : refusal.code !== 'busy'
  const change = {
    attempts: failed ? attempts + 1 : 0,
    nextAttemptAt: isPostponed ? new Date(at.getTime() + RETRY_AFTER_MS) : null,
  }
  const also = async (trx: Transaction<Schema>) => {
    const found = CONTRADICTIONS[refusal.code]
    const facts: Partial<Weighed> =
      found === undefined
        ? {}
        : weigh(claim.replica, { result: found, evidence: 'existence', reason: refusal.reason }, at)
    const { state = stateWithoutDeletion(claim.replica) } = facts
    // If it was catalogued again meanwhile, that state is kept.
    const { numUpdatedRows } = await trx
      .updateTable('replicas')
      .set({ ...facts, state })
      .where('id', '=', id)
      .where('state', '=', 'deleting')
      .executeTakeFirst()
    if (found !== undefined && numUpdatedRows > 0n) {
      const runId = await lockRunOfReplica(trx, claim.replica)
      const detail = `${claim.replica.url}: ${refusal.reason}`
      await addHistory(trx, [{ runId, what: `copy ${state}`, detail }], at)
      await refreshStorage(trx, runId)
    }
    await withdrawTombstones(trx, id, refusal.reason, at)
  }
  try {
    await endClaim(database, claim, { change, also }, at)
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
    await withdrawTombstones(database, id, refusal.reason, at, claim.owner)
  }
  if (CONTRADICTIONS[refusal.code] !== undefined)
    await recordBadCopy(context, claim.replica, requestTimeout(context))
  return refusal
}

/** Refusals because the store was just seen without the catalogued object: the copy does not count again. */
const CONTRADICTIONS: Partial<Record<Refusal['code'], 'absent' | 'differs'>> = {
  'not-in-store': 'absent',
  changed: 'differs',
}

/**
 * Verifies a copy that seems missing or different, so that it is recorded with its alert and no longer counts
 * as a copy when the DAQ's file is to be deleted. It is read where no checksum is stated: an ETag that is
 * another one proves nothing about the bytes. A failure here is only logged.
 */
export async function recordBadCopy(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  replica: Replica,
  signal: AbortSignal,
): Promise<void> {
  await verifyReplica(context, replica.id, { readBack: 'if-needed' }, signal, context.log).catch((error) =>
    context.log.warn({ error, key: replica.objectKey, url: replica.url }, 'bad-copy-not-recorded'),
  )
}

/**
 * Ends the deletion of a call that died. When the object is deleted, this is recorded with the evidence of
 * that call; null when no deletion was started or the object still exists.
 * @throws what passes with time, when the store does not answer.
 */
export async function endUnfinishedDeletion(
  context: Context<'database' | 's3'>,
  claim: Claim,
  held: AbortSignal,
): Promise<Deleted | null> {
  const tombstone = (await openTombstones(context.database, claim.replica.id)).at(-1)
  if (tombstone === undefined) return null
  const version: ObjectVersion = {
    bucket: tombstone.bucket,
    key: tombstone.objectKey,
    etag: tombstone.etag ?? '',
    versionId: tombstone.versionId,
    sizeBytes: tombstone.sizeBytes,
    lastModified: tombstone.writtenAt,
  }
  const found = await findVersion(context.s3, version, requestTimeout(context, held))
  if (found === 'there') return null
  // Catalogued again since: the object under the key may have the same contents, uploaded in another way.
  if (found === 'other' && claim.replica.state !== 'deleting') return null
  const note =
    found === 'other' ? 'found later: another object has the key' : 'found later: the object is deleted'
  const detail = `${claim.replica.url}: ${tombstone.reason}; ${tombstone.survivorUrl} had been verified right before: ${tombstone.survivorVerifiedBy}`
  return await recordDeleted(
    context,
    claim,
    { kind: 'deleted', tombstoneId: tombstone.id, survivorUrl: tombstone.survivorUrl, note },
    detail,
  )
}

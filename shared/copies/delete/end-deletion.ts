/**
 * How a deletion ends: the row, its tombstone and the run's history say what is true then, in one
 * transaction.
 */
import type { Transaction } from 'kysely'
import { type Claim, endClaim } from '../../catalogue/replica-work.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { Schema } from '../../database/schema.ts'
import { ConflictError } from '../../errors.ts'
import type { ObjectVersion } from '../../run.ts'
import { findVersion } from '../../storage/delete-object.ts'
import type { ReadBack } from '../verify/look.ts'
import { verifyReplica } from '../verify/verify.ts'
import type { Deleted, Refusal } from './deletion-rules.ts'
import { endTombstone, openTombstones, withdrawTombstones } from './tombstones.ts'

/** A copy that may not go is looked at again after this long, by the cleaner. */
const AGAIN_MS = 6 * 3_600_000

/** A limit well below the lease: a request of ours is over before another function may take the copy. */
export function inTime({ config }: Context, held?: AbortSignal): AbortSignal {
  const limit = AbortSignal.timeout(config.work.leaseSeconds * 250)
  return held === undefined ? limit : AbortSignal.any([held, limit])
}

/** The object is gone. @param told the line of the run's history. */
export async function isGone(
  context: Context<'database'>,
  claim: Claim,
  deletion: Deleted,
  told: string,
): Promise<Deleted> {
  const at = context.now()
  const { tombstoneId, note } = deletion
  const end = { state: 'deleted' as const, note }
  const change = {
    state: 'deleted' as const,
    deletedAt: at,
    checkedAt: at,
    nextAttemptAt: null,
    lastError: null,
  }
  const history = { what: 'deleted from the store', detail: note === null ? told : `${told} (${note})` }
  try {
    await endClaim(
      context.database,
      claim,
      { change, note: history, also: (trx) => endTombstone(trx, tombstoneId, end, at) },
      at,
    )
  } catch (error) {
    // Its row tells of another object by now; that this one was deleted is true all the same.
    if (!(error instanceof ConflictError)) throw error
    await endTombstone(context.database, tombstoneId, end, at)
  }
  return deletion
}

/**
 * The copy stays: its row says so, and what was begun is withdrawn. Of a row that was lost to another only
 * our tombstone is. What `failed` the second time is left alone for as long as what was refused: it must not
 * keep the cleaner from the others for ever.
 */
export async function stays(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  claim: Claim,
  refusal: Refusal,
  failed = false,
): Promise<Refusal> {
  const { database } = context
  const { id, attempts } = claim.replica
  const at = context.now()
  const isLater = failed ? attempts > 0 : refusal.code !== 'busy'
  const change = {
    attempts: failed ? attempts + 1 : 0,
    nextAttemptAt: isLater ? new Date(at.getTime() + AGAIN_MS) : null,
  }
  const also = async (trx: Transaction<Schema>) => {
    // Catalogued again meanwhile, it may be suspicious: then that stands.
    await trx
      .updateTable('replicas')
      .set({ state: 'present' })
      .where('id', '=', id)
      .where('state', '=', 'deleting')
      .execute()
    await withdrawTombstones(trx, id, refusal.reason, at)
  }
  try {
    await endClaim(database, claim, { change, also }, at)
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
    await withdrawTombstones(database, id, refusal.reason, at, claim.owner)
  }
  if (refusal.code === 'not-in-store') await recordDoubt(context, claim.replica, 'never', inTime(context))
  return refusal
}

/**
 * A copy that is missing or has other bytes is looked at twice and written down with its alert, by the code
 * whose task that is: then nobody counts on it any more, who would delete the DAQ's file neither. Nothing
 * hangs on it here.
 */
export async function recordDoubt(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  replica: Replica,
  readBack: ReadBack,
  signal: AbortSignal,
): Promise<void> {
  await verifyReplica(context, replica.id, { readBack }, signal, context.log).catch((error) =>
    context.log.warn({ error, key: replica.objectKey, url: replica.url }, 'doubtful-copy-not-recorded'),
  )
}

/**
 * What a call that died left behind. When the object is gone, the deletion is recorded as done, on the
 * evidence of that call; null when nothing was begun or the object is still there. @throws what passes with
 * time, when the store does not answer.
 */
export async function endWhatWasBegun(
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
  const look = await findVersion(context.s3, version, inTime(context, held))
  if (look === 'there') return null
  // Catalogued again since: the object that has the key may well be the same contents, uploaded in another
  // way.
  if (look === 'other' && claim.replica.state !== 'deleting') return null
  const note =
    look === 'other' ? 'found later: another object has the key' : 'found later: the object is gone'
  const told = `${claim.replica.url}: ${tombstone.reason}; ${tombstone.survivorUrl} had been verified right before: ${tombstone.survivorVerifiedBy}`
  return await isGone(
    context,
    claim,
    { kind: 'deleted', tombstoneId: tombstone.id, survivorUrl: tombstone.survivorUrl, note },
    told,
  )
}

/**
 * The one place where the copy of a run in the store is deleted.
 *
 * In this order, in one call, under the claim on the copy's row: the rules of the catalogue; the object is
 * the catalogued one; a copy on tape is verified now; the rules again and the tombstone, committed; the
 * object once more; the deletion, of this version only; a look at what is there after it; the record. Nothing
 * that an earlier call verified counts. docs/adr/0009-deletion.md.
 */
import { ON_DISK } from '../../catalogue/replica-states.ts'
import { type Claim, claimReplica, noteStep, renewClaim, whileClaimed } from '../../catalogue/replica-work.ts'
import type { Context } from '../../context.ts'
import type { CopyState, Replica } from '../../database/replica-schema.ts'
import { ConflictError, classify, InvalidInputError, passesWithTime, TransientError } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'
import { type ObjectVersion, parseRunKey } from '../../run.ts'
import { deleteObject, findVersion } from '../../storage/delete-object.ts'
import { leaseOwner } from '../../work/lease.ts'
import {
  type CloudDeletion,
  permittedVersion,
  type Refusal,
  refused,
  versionInStore,
  YOUNGEST_MS,
} from './deletion-rules.ts'
import { endWhatWasBegun, inTime, isGone, recordDoubt, stays } from './end-deletion.ts'
import { refuseProtected } from './protected.ts'
import { findSurvivor, isStale, type Survivor } from './surviving-copy.ts'
import { withdrawTombstones, writeTombstone } from './tombstones.ts'

export interface DeletionOptions {
  /**
   * Objects younger than this stay, milliseconds; YOUNGEST_MS when absent. It is what narrows the moment
   * between the last look and the deletion on stores that know no conditional deletion.
   */
  readonly youngestMs?: number
}

/**
 * Deletes the copy of a run in the store, when everything holds; else says why it stays. Either way the row
 * is free again and says what is true; after a crash at any point the next call finds out what happened and
 * begins from the verification.
 * @param replica of kind `cloud`. @param reason goes into the tombstone.
 * @throws InvalidInputError for what is never deleted by this: protected prefixes, other buckets, what is no
 * run.
 * @throws TransientError when the tape endpoint, the store or the catalogue do not answer. When it is not
 * known whether the store deleted the object, the copy stays `deleting` until its lease is over, and the next
 * call looks.
 */
export async function deleteCloudCopy(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  replica: Replica,
  reason: string,
  signal: AbortSignal,
  options: DeletionOptions = {},
): Promise<CloudDeletion> {
  refuseOthers(context, replica)
  const doubted: Replica[] = []
  const wish = {
    reason,
    youngestMs: options.youngestMs ?? YOUNGEST_MS,
    onDoubt: (tape: Replica) => void doubted.push(tape),
  }
  try {
    return await underClaim(context, replica, ON_DISK, signal, async (claim, held) => {
      const ended = await endWhatWasBegun(context, claim, held)
      if (ended !== null) return ended
      const prepared = await releasing(context, claim, held, () => prepare(context, claim, wish, held))
      return prepared.kind === 'refused' ? prepared : await carryOut(context, claim, prepared, held)
    })
  } finally {
    // Not before: while the copy in the store is `deleting` it does not count, and people would be told of
    // the last copy.
    for (const tape of doubted) await recordDoubt(context, tape, 'if-needed', signal)
  }
}

/**
 * Ends a deletion whose function died: the object is gone, and that is recorded; or it is there, and the
 * deletion is withdrawn. Deletes nothing. @throws as deleteCloudCopy.
 */
export async function settleDeletion(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  replica: Replica,
  signal: AbortSignal,
): Promise<CloudDeletion> {
  return await underClaim(context, replica, ['deleting'], signal, async (claim, held) => {
    const ended = await endWhatWasBegun(context, claim, held)
    return (
      ended ??
      (await stays(context, claim, refused('busy', 'the function that was to delete it died before it did')))
    )
  })
}

function refuseOthers({ config }: Context, replica: Replica): void {
  const object = { bucket: replica.bucket, key: replica.objectKey }
  refuseProtected(object, config.store.protectedPrefixes)
  const named = `${object.bucket}/${object.key}`
  if (replica.kind !== 'cloud') throw new InvalidInputError(`${replica.url} is not a copy in the store`)
  if (!config.store.rawBuckets.includes(object.bucket))
    throw new InvalidInputError(`${named} is not in a bucket of raw runs`)
  if (parseRunKey(object.key) === null)
    throw new InvalidInputError(`${named} is not named like a run: it is not deleted`)
}

/** One call at a time works on a copy; one that loses its claim stops before it deletes. */
async function underClaim(
  context: Context<'database'>,
  replica: Replica,
  states: readonly CopyState[],
  signal: AbortSignal,
  work: (claim: Claim, held: AbortSignal) => Promise<CloudDeletion>,
): Promise<CloudDeletion> {
  const { database } = context
  const leaseSeconds = context.config.work.leaseSeconds
  const owner = leaseOwner(context)
  const claim = await claimReplica(database, replica.id, states, { owner, leaseSeconds })
  if (claim === null) return refused('busy', 'it is not in the store any more, or another function is at it')
  return await whileClaimed(database, claim, leaseSeconds, signal, (held) => work(claim, held))
}

interface Prepared {
  readonly kind: 'prepared'
  readonly tombstoneId: number
  readonly version: ObjectVersion
  readonly survivor: Survivor
  readonly reason: string
}

/** Everything that has to hold, up to the moment before the deletion. */
async function prepare(
  context: Context<'database' | 's3' | 'tape'>,
  claim: Claim,
  wish: { readonly reason: string; readonly youngestMs: number; readonly onDoubt: (tape: Replica) => void },
  held: AbortSignal,
): Promise<Prepared | Refusal> {
  const { database } = context
  await noteStep(database, claim, { change: { state: 'deleting' } }, context.now())
  const permitted = await permittedVersion(database, claim.replica, context.now())
  if ('kind' in permitted) return permitted
  const version = await versionInStore(context, permitted, wish.youngestMs, held)
  if ('kind' in version) return version
  const survivor = await findSurvivor(context, claim.replica, wish.onDoubt, held)
  if (survivor.kind === 'none') return refused('no-verified-copy', survivor.reason)
  held.throwIfAborted()
  const tombstoneId = await writeDown(context, claim, version, survivor, wish.reason)
  if (typeof tombstoneId !== 'number') return tombstoneId
  // From here the deletion takes less than the lease, or the requests are given up: nobody else begins
  // meanwhile.
  await renewClaim(database, claim, context.config.work.leaseSeconds)
  const look = await findVersion(context.s3, version, inTime(context, held))
  if (look !== 'there')
    return refused(
      look === 'other' ? 'changed' : 'not-in-store',
      'the object was replaced or removed at this moment',
    )
  return { kind: 'prepared', tombstoneId, version, survivor, reason: wish.reason }
}

/**
 * The rules once more, the survivor's row and the tombstone in one transaction, under the lock of the run.
 */
async function writeDown(
  context: Context<'database'>,
  claim: Claim,
  version: ObjectVersion,
  survivor: Survivor,
  reason: string,
): Promise<number | Refusal> {
  const { replica } = claim
  const at = context.now()
  let written: number | Refusal = refused('busy', 'nothing was written')
  await noteStep(
    context.database,
    claim,
    {
      change: {},
      async also(trx) {
        const permitted = await permittedVersion(trx, replica, at)
        if ('kind' in permitted) {
          written = permitted
          return
        }
        const verified = await trx
          .updateTable('replicas')
          .set({
            verifiedAt: survivor.verifiedAt,
            verifiedBy: survivor.verifiedBy,
            checkedAt: survivor.verifiedAt,
            lastError: null,
            updatedAt: at,
          })
          .where('id', '=', survivor.replica.id)
          .where('state', '=', 'on-media')
          .executeTakeFirst()
        if (verified.numUpdatedRows !== 1n) {
          written = refused('no-verified-copy', `${survivor.replica.url} is not counted on any more`)
          return
        }
        await withdrawTombstones(trx, replica.id, 'begun anew', at)
        written = await writeTombstone(
          trx,
          { replica, version, survivor, reason, writtenBy: claim.owner },
          at,
        )
      },
    },
    at,
  )
  return written
}

/** Deletes, looks, and records what is true then. */
async function carryOut(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  claim: Claim,
  prepared: Prepared,
  held: AbortSignal,
): Promise<CloudDeletion> {
  const { version, tombstoneId, survivor } = prepared
  if (isStale(survivor, context.config.work.leaseSeconds, context.now()))
    return await stays(
      context,
      claim,
      refused('busy', 'it took too long after the copy on tape was verified'),
    )
  const answer = await deleteObject(context.s3, version, inTime(context, held)).catch((error: unknown) => ({
    kind: 'unknown' as const,
    error,
  }))
  if (answer.kind === 'changed')
    return await stays(context, claim, refused('changed', 'another object was dropped under the key'))
  // Asked also when the host's time is over: what was done has to be known.
  const look = await findVersion(context.s3, version, inTime(context))
  if (look === 'there') {
    if (answer.kind !== 'unknown')
      return await stays(context, claim, refused('still-there', 'the store says it deleted it, and has it'))
    const error = classify(answer.error)
    if (passesWithTime(answer.error) || held.aborted)
      throw new TransientError(
        `it is not known yet whether ${claim.replica.url} was deleted: ${error.message}`,
        {},
        { cause: answer.error },
      )
    await stays(context, claim, refused('still-there', withoutSecrets(error.message)))
    throw error
  }
  const note =
    look === 'other'
      ? 'another object was dropped under the key since'
      : answer.kind === 'deleted' && answer.marked
        ? 'the bucket keeps versions: it was hidden, its bytes leave by the rules of the bucket'
        : null
  const told = `${claim.replica.url}, ${version.sizeBytes} bytes: ${prepared.reason}; ${survivor.replica.url} was verified right before: ${survivor.verifiedBy}`
  return await isGone(
    context,
    claim,
    { kind: 'deleted', tombstoneId, survivorUrl: survivor.replica.url, note },
    told,
  )
}

/** Before the deletion nothing has happened: whatever goes wrong, the row is given back as it was. */
async function releasing(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  claim: Claim,
  held: AbortSignal,
  work: () => Promise<Prepared | Refusal>,
): Promise<Prepared | Refusal> {
  try {
    const result = await work()
    return result.kind === 'refused' ? await stays(context, claim, result) : result
  } catch (thrown) {
    const error = classify(held.reason instanceof ConflictError ? held.reason : thrown)
    const lost = error instanceof ConflictError
    const refusal = refused(
      'busy',
      lost
        ? 'another function took it over, or it was replaced at this moment'
        : withoutSecrets(error.message),
    )
    await stays(context, claim, refusal, !lost).catch((failure) =>
      // Then the lease runs out, and the next call begins anew.
      context.log.warn({ error: failure, key: claim.replica.objectKey }, 'deletion-not-withdrawn'),
    )
    if (lost) return refusal
    throw error
  }
}

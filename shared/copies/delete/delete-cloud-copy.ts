/**
 * The only code that deletes the copy of a run in the store.
 *
 * One call does all of this, in this order, under the claim on the copy's row: check the rules of the
 * catalogue; check that the object is the catalogued one; verify a copy on tape; check the rules again and
 * commit the tombstone; check the object again; delete this version only; check what the store then holds;
 * record it. No verification of an earlier call counts. docs/adr/0009-deletion.md.
 */
import { weigh } from '../../catalogue/evidence.ts'
import { ON_DISK } from '../../catalogue/replica-states.ts'
import {
  type Claim,
  claimReplica,
  recordStep,
  renewClaim,
  whileClaimed,
} from '../../catalogue/replica-work.ts'
import type { Context } from '../../context.ts'
import type { CopyState, Replica } from '../../database/replica-schema.ts'
import { ConflictError, classify, InvalidInputError, passesWithTime, TransientError } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'
import { type ObjectVersion, parseRunKey } from '../../run.ts'
import { deleteObject, findVersion } from '../../storage/delete-object.ts'
import { leaseOwner } from '../../work/lease.ts'
import {
  type CloudDeletion,
  MIN_AGE_MS,
  permittedVersion,
  type Refusal,
  refused,
  versionInStore,
} from './deletion-rules.ts'
import {
  endUnfinishedDeletion,
  recordBadCopy,
  recordDeleted,
  recordKept,
  requestTimeout,
} from './end-deletion.ts'
import { refuseProtected } from './protected.ts'
import { findSurvivor, inUse, isInUse, isStale, type Survivor } from './surviving-copy.ts'
import { withdrawTombstones, writeTombstone } from './tombstones.ts'

export interface DeletionOptions {
  /**
   * Objects younger than this are kept, milliseconds; MIN_AGE_MS when absent. It narrows the time between the
   * last check and the deletion on stores without conditional deletion.
   */
  readonly minAgeMs?: number
}

/**
 * Deletes the copy of a run in the store when every rule holds; otherwise returns why it is kept. Either way
 * the row is free again and states the truth. After a crash at any point the next call finds out what
 * happened and starts again with the verification.
 * @param replica of kind `cloud`. @param reason goes into the tombstone.
 * @throws InvalidInputError for objects that are never deleted here: below protected prefixes, in other
 * buckets, not named like a run.
 * @throws TransientError when the tape endpoint, the store or the catalogue do not answer. While it is not
 * known whether the store deleted the object, the copy remains `deleting` until its lease is over, and the
 * next call checks it.
 */
export async function deleteCloudCopy(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  replica: Replica,
  reason: string,
  signal: AbortSignal,
  options: DeletionOptions = {},
): Promise<CloudDeletion> {
  refuseOtherObjects(context, replica)
  const badCopies: Replica[] = []
  const request = {
    reason,
    minAgeMs: options.minAgeMs ?? MIN_AGE_MS,
    onBadCopy: (tape: Replica) => void badCopies.push(tape),
  }
  try {
    return await underClaim(context, replica, ON_DISK, signal, async (claim, held) => {
      const ended = await endUnfinishedDeletion(context, claim, held)
      if (ended !== null) return ended
      const prepared = await releaseOnFailure(context, claim, held, () =>
        prepare(context, claim, request, held),
      )
      return prepared.kind === 'refused' ? prepared : await deleteAndRecord(context, claim, prepared, held)
    })
  } finally {
    // Not earlier: while the copy in the store is `deleting` it does not count, and the alert would be that
    // of the last copy.
    for (const tape of badCopies) await recordBadCopy(context, tape, signal)
  }
}

/**
 * Ends a deletion whose function died: when the object is deleted, records it; when it still exists,
 * withdraws the deletion. Deletes nothing. @throws as deleteCloudCopy.
 */
export async function settleDeletion(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  replica: Replica,
  signal: AbortSignal,
): Promise<CloudDeletion> {
  return await underClaim(context, replica, ['deleting'], signal, async (claim, held) => {
    const ended = await endUnfinishedDeletion(context, claim, held)
    return (
      ended ?? (await recordKept(context, claim, refused('busy', 'the function died before it deleted it')))
    )
  })
}

function refuseOtherObjects({ config }: Context, replica: Replica): void {
  const object = { bucket: replica.bucket, key: replica.objectKey }
  refuseProtected(object, config.store.protectedPrefixes)
  const named = `${object.bucket}/${object.key}`
  if (replica.kind !== 'cloud') throw new InvalidInputError(`${replica.url} is not a copy in the store`)
  if (!config.store.rawBuckets.includes(object.bucket))
    throw new InvalidInputError(`${named} is not in a bucket of raw runs`)
  if (parseRunKey(object.key) === null)
    throw new InvalidInputError(`${named} is not named like a run: it is not deleted`)
}

/** Only one call at a time works on a copy; a call that loses its claim stops before it deletes. */
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
  if (claim === null)
    return refused('busy', 'it is no longer in the store, or another function is working on it')
  return await whileClaimed(database, claim, leaseSeconds, signal, (held) => work(claim, held))
}

interface Prepared {
  readonly kind: 'prepared'
  readonly tombstoneId: number
  readonly version: ObjectVersion
  readonly survivor: Survivor
  readonly reason: string
}

/** Every check, up to the moment before the deletion. */
async function prepare(
  context: Context<'database' | 's3' | 'tape'>,
  claim: Claim,
  request: {
    readonly reason: string
    readonly minAgeMs: number
    readonly onBadCopy: (tape: Replica) => void
  },
  held: AbortSignal,
): Promise<Prepared | Refusal> {
  const { database } = context
  await recordStep(database, claim, { change: { state: 'deleting' } }, context.now())
  const permitted = await permittedVersion(database, claim.replica, context.now())
  if ('kind' in permitted) return permitted
  const version = await versionInStore(context, permitted, request.minAgeMs, held)
  if ('kind' in version) return version
  const survivor = await findSurvivor(context, claim.replica, request.onBadCopy, held)
  if (survivor.kind === 'none') return refused(survivor.code, survivor.reason)
  held.throwIfAborted()
  const tombstoneId = await writeDown(context, claim, version, survivor, request.reason)
  if (typeof tombstoneId !== 'number') return tombstoneId
  // From here the requests end, or time out, well within the lease, so no other function starts meanwhile.
  await renewClaim(database, claim, context.config.work.leaseSeconds)
  const found = await findVersion(context.s3, version, requestTimeout(context, held))
  if (found !== 'there')
    return refused(
      found === 'other' ? 'changed' : 'not-in-store',
      'the object was replaced or removed just now',
    )
  return { kind: 'prepared', tombstoneId, version, survivor, reason: request.reason }
}

/**
 * Checks the rules again and writes the survivor's row and the tombstone, in one transaction that locks the
 * run.
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
  await recordStep(
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
        if (await isInUse(trx, survivor.replica.id)) {
          written = refused('busy', inUse(survivor.replica))
          return
        }
        const verified = await trx
          .updateTable('replicas')
          .set({ ...verificationOf(survivor), updatedAt: at })
          .where('id', '=', survivor.replica.id)
          .where('state', '=', 'on-media')
          .where('doubtedEvidence', 'is', null)
          .executeTakeFirst()
        if (verified.numUpdatedRows !== 1n) {
          written = refused('no-verified-copy', `${survivor.replica.url} is no longer a verified copy`)
          return
        }
        await withdrawTombstones(trx, replica.id, 'started again', at)
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

const verificationOf = ({ replica, evidence, verifiedBy: by, verifiedAt }: Survivor) =>
  weigh(replica, { result: 'agrees', evidence, by, onMedia: true }, verifiedAt)

/** Deletes, checks what the store then holds, and records it. */
async function deleteAndRecord(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  claim: Claim,
  prepared: Prepared,
  held: AbortSignal,
): Promise<CloudDeletion> {
  const { version, tombstoneId, survivor } = prepared
  if (await isStale(context, survivor, context.config.work.leaseSeconds))
    return await recordKept(
      context,
      claim,
      refused('busy', 'it took too long after the copy on tape was verified'),
    )
  const answer = await deleteObject(context.s3, version, requestTimeout(context, held)).catch(
    (error: unknown) => ({
      kind: 'unknown' as const,
      error,
    }),
  )
  if (answer.kind === 'changed')
    return await recordKept(context, claim, refused('changed', 'another object was stored under the key'))
  // Checked also after the host's time limit: what the deletion did has to be known.
  const found = await findVersion(context.s3, version, requestTimeout(context))
  if (found === 'there') {
    if (answer.kind !== 'unknown')
      return await recordKept(
        context,
        claim,
        refused('still-there', 'the store reported the deletion and still has the object'),
      )
    const error = classify(answer.error)
    if (passesWithTime(answer.error) || held.aborted)
      throw new TransientError(
        `it is not known yet whether ${claim.replica.url} was deleted: ${error.message}`,
        {},
        { cause: answer.error },
      )
    await recordKept(context, claim, refused('still-there', withoutSecrets(error.message)))
    throw error
  }
  const note =
    found === 'other'
      ? 'another object has been stored under the key since'
      : answer.kind === 'deleted' && answer.marked
        ? 'the bucket keeps versions: the object is hidden, and its bytes are deleted by the rules of the bucket'
        : null
  const detail = `${claim.replica.url}, ${version.sizeBytes} bytes: ${prepared.reason}; ${survivor.replica.url} was verified right before: ${survivor.verifiedBy}`
  return await recordDeleted(
    context,
    claim,
    { kind: 'deleted', tombstoneId, survivorUrl: survivor.replica.url, note },
    detail,
  )
}

/** Before the deletion nothing has happened: after any failure the row is released unchanged. */
async function releaseOnFailure(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  claim: Claim,
  held: AbortSignal,
  work: () => Promise<Prepared | Refusal>,
): Promise<Prepared | Refusal> {
  try {
    const result = await work()
    return result.kind === 'refused' ? await recordKept(context, claim, result) : result
  } catch (thrown) {
    const error = classify(held.reason instanceof ConflictError ? held.reason : thrown)
    const lost = error instanceof ConflictError
    const refusal = refused(
      'busy',
      lost ? 'another function took it over, or it was replaced just now' : withoutSecrets(error.message),
    )
    await recordKept(context, claim, refusal, !lost).catch((failure) =>
      // The lease then runs out, and the next call starts again.
      context.log.warn({ error: failure, key: claim.replica.objectKey }, 'deletion-not-withdrawn'),
    )
    if (lost) return refusal
    throw error
  }
}

/**
 * The steps by which a file of the DAQ may leave its disk: claimed, judged by what is there now, given a
 * tombstone under the run's lock, and ended. permit-deletion.ts takes them.
 */

import type { Transaction } from 'kysely'
import { ON_DISK } from '../../catalogue/replica-states.ts'
import {
  type Claim,
  claimReplica,
  endClaim,
  recordStep,
  renewClaim,
  whileClaimed,
} from '../../catalogue/replica-work.ts'
import { replicasOfContent } from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { Schema } from '../../database/schema.ts'
import { ConflictError } from '../../errors.ts'
import type { ObjectVersion } from '../../run.ts'
import { leaseOwner } from '../../work/lease.ts'
import { recordDoubt } from './end-deletion.ts'
import { findLocalCopy, type LocalContext, type LocalCopy } from './local-copies.ts'
import { flawInStore } from './object-now.ts'
import { judgeSafety, safetyOf, verifiedOnTape } from './safety.ts'
import { findSurvivor, isStale, type Survivor } from './surviving-copy.ts'
import { endTombstone, openTombstones, renewTombstone, writeTombstone } from './tombstones.ts'

export interface Permitted {
  readonly is: 'permitted'
  readonly tombstoneId: number
  /** One sentence: what makes it safe. */
  readonly why: string
}

export interface Refused {
  readonly is: 'refused'
  /** One sentence: what is awaited, or what is wrong. */
  readonly why: string
}

export const refused = (why: string): Refused => ({ is: 'refused', why })

const LEASE_SECONDS = 300
const REASON = 'copies in the store and on tape are verified'
const NOT_HERE =
  'no tape endpoint is configured here (CYGNET_TAPE_DRIVER), so that the copy on tape cannot be verified now'

/**
 * The copy's row, when what the catalogue knows speaks for a deletion; null when another process holds it.
 */
export async function claimLocalCopy(
  context: Context<'database' | 'tape'>,
  copy: LocalCopy,
): Promise<Claim | Refused | null> {
  if (context.tape === null) return refused(NOT_HERE)
  const known = await safetyOf(context, copy)
  if (!known.safe) return refused(known.why)
  const row = await findLocalCopy(context, copy)
  if (row === undefined || !ON_DISK.includes(row.state) || row.name !== copy.path)
    return refused('the catalogue was not told of this file yet: it is read and compared first')
  return await claimReplica(context.database, row.id, ON_DISK, claimOptions(context))
}

export const claimOptions = (context: Pick<LocalContext, 'owner'>) => ({
  owner: leaseOwner(context),
  leaseSeconds: LEASE_SECONDS,
})

/**
 * Looks at the object in the store and at a copy on tape, now. When both are right, the catalogue says from
 * here on that the file is being deleted, and the claim goes on; else the row is as it was, and free. What
 * turns out to be missing or different is written down, with its alert.
 * @throws what passes with time, and ConflictError when the claim was lost: the file is not to be removed
 * then.
 */
export async function permit(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  claim: Claim,
  copy: LocalCopy,
  signal: AbortSignal,
): Promise<Permitted | Refused> {
  const doubted: Replica[] = []
  try {
    const judged = await whileClaimed(context.database, claim, LEASE_SECONDS, signal, (held) =>
      judge(context, claim, copy, (other) => void doubted.push(other), held),
    )
    if (judged.is === 'refused') await giveBack(context, claim, judged.why)
    return judged
  } catch (error) {
    await giveBack(context, claim, 'its copies could not be looked at').catch((failure) =>
      // Then the lease runs out, and the next start puts it right.
      context.log.warn({ error: failure, key: copy.key }, 'deletion-not-withdrawn'),
    )
    throw error
  } finally {
    for (const other of doubted)
      await recordDoubt(context, other, other.kind === 'tape' ? 'if-needed' : 'never', signal)
  }
}

async function judge(
  context: Context<'database' | 's3' | 'tape'>,
  claim: Claim,
  copy: LocalCopy,
  onDoubt: (other: Replica) => void,
  held: AbortSignal,
): Promise<Permitted | Refused> {
  const flaw = await flawInStore(context, copy, onDoubt, held)
  if (flaw !== null) return refused(flaw)
  const survivor = await findSurvivor(context, claim.replica, onDoubt, held)
  if (survivor.kind === 'none') return refused(survivor.reason)
  held.throwIfAborted()
  // Once more: where the endpoint states no checksum the tape was read meanwhile, perhaps for hours.
  const since = await flawInStore(context, copy, onDoubt, held)
  if (since !== null) return refused(since)
  held.throwIfAborted()
  // Whoever removes the file has a whole lease for it: nobody else puts right meanwhile what is not over.
  await renewClaim(context.database, claim, LEASE_SECONDS)
  return await writeDown(context, claim, copy, survivor)
}

const TOO_LATE = 'it took too long after the copies were looked at: they are looked at anew'

/** Carries a refusal out of the transaction that it rolls back. */
class NotNow extends Error {}

/** Judged once more under the run's lock, with the tombstone in the same transaction. */
async function writeDown(
  context: Context<'database'>,
  claim: Claim,
  copy: LocalCopy,
  survivor: Survivor,
): Promise<Permitted | Refused> {
  const at = context.now()
  const writtenBy = claim.owner
  let tombstoneId = 0
  const also = async (trx: Transaction<Schema>) => {
    const copies = await replicasOfContent(trx, copy)
    const { safe, why } = judgeSafety(copy, copies)
    if (!safe) throw new NotNow(why)
    if (!copies.some((other) => other.id === survivor.replica.id && verifiedOnTape(other)))
      throw new NotNow('the copy on tape changed while it was looked at')
    if (isStale(survivor, LEASE_SECONDS, at)) throw new NotNow(TOO_LATE)
    // Asked for again: what was permitted before and not used is permitted anew.
    const open = (await openTombstones(trx, claim.replica.id)).at(-1)
    if (open !== undefined) await renewTombstone(trx, open.id, { survivor, writtenBy }, at)
    tombstoneId =
      open?.id ??
      (await writeTombstone(
        trx,
        { replica: claim.replica, version: fileVersion(copy, at), survivor, reason: REASON, writtenBy },
        at,
      ))
  }
  try {
    await recordStep(context.database, claim, { change: { state: 'deleting' }, also }, at)
  } catch (error) {
    if (error instanceof NotNow) return refused(error.message)
    throw error
  }
  const why = `its object in the store is the catalogued one, and ${survivor.replica.url} was verified just now: ${survivor.verifiedBy}`
  return { is: 'permitted', tombstoneId, why }
}

/** A file is no version of an object. */
const fileVersion = ({ bucket, key, sizeBytes }: LocalCopy, at: Date): ObjectVersion => ({
  bucket,
  key,
  sizeBytes,
  etag: '',
  versionId: null,
  lastModified: at,
})

/** Ends the deletion, its tombstone and the claim together, with a line of the run's history. */
export async function endDeletion(
  context: LocalContext,
  claim: Claim,
  how: 'deleted' | 'withdrawn',
  note: string,
): Promise<void> {
  const at = context.now()
  const change =
    how === 'deleted'
      ? { state: 'deleted' as const, deletedAt: at }
      : { state: 'present' as const, lastError: note, deletedAt: null }
  const outcome = {
    change,
    note: {
      what: how === 'deleted' ? 'local file deleted' : 'deletion withdrawn',
      detail: `${claim.replica.url}: ${note}`,
    },
    also: (trx: Transaction<Schema>) => endTombstones(trx, claim, how, note, at),
  }
  await endClaim(context.database, claim, outcome, at)
}

async function endTombstones(
  trx: Transaction<Schema>,
  { replica }: Claim,
  state: 'deleted' | 'withdrawn',
  note: string,
  at: Date,
) {
  for (const { id } of await openTombstones(trx, replica.id)) await endTombstone(trx, id, { state, note }, at)
}

/**
 * The file stays. Also where the answer to the step that began the deletion was lost; of a claim that was
 * lost nothing is ours.
 */
async function giveBack(context: LocalContext, claim: Claim, why: string): Promise<void> {
  const at = context.now()
  const also = (trx: Transaction<Schema>) => endTombstones(trx, claim, 'withdrawn', why, at)
  await endClaim(context.database, claim, { change: { state: 'present' }, also }, at).catch(
    (error: unknown) => {
      if (!(error instanceof ConflictError)) throw error
    },
  )
}

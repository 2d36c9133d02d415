/**
 * The steps of the deletion of a DAQ file: claim its row, check the other copies, write the tombstone under
 * the run's lock, end it. Called by permit-deletion.ts.
 */

import type { Transaction } from 'kysely'
import { stateWithoutDeletion } from '../../catalogue/evidence.ts'
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
import { recordBadCopy } from './end-deletion.ts'
import { findLocalCopy, type LocalContext, type LocalCopy } from './local-copies.ts'
import { flawInStore } from './object-in-store.ts'
import { judgeSafety, safetyOf, verifiedOnTape } from './safety.ts'
import { findSurvivor, inUse, isInUse, isStale, type Survivor } from './surviving-copy.ts'
import { endTombstone, openTombstones, renewTombstone, writeTombstone } from './tombstones.ts'

export interface Permitted {
  readonly kind: 'permitted'
  readonly tombstoneId: number
  /** One sentence: what makes it safe. */
  readonly why: string
}

export interface Refused {
  readonly kind: 'refused'
  /** One sentence: what is missing, or which check failed. */
  readonly why: string
}

export const refused = (why: string): Refused => ({ kind: 'refused', why })

const LEASE_SECONDS = 300
const REASON = 'copies in the store and on tape are verified'
const NO_TAPE_ENDPOINT =
  'no tape endpoint is configured here (CYGNET_TAPE_DRIVER), so the copy on tape cannot be verified now'

/** The claim on the copy's row, when the catalogue allows a deletion; null when another process holds it. */
export async function claimLocalCopy(
  context: Context<'database' | 'tape'>,
  copy: LocalCopy,
): Promise<Claim | Refused | null> {
  if (context.tape === null) return refused(NO_TAPE_ENDPOINT)
  const known = await safetyOf(context, copy)
  if (!known.safe) return refused(known.why)
  const row = await findLocalCopy(context, copy)
  if (row === undefined || !ON_DISK.includes(row.state) || row.name !== copy.path)
    return refused('this file is not in the catalogue yet: it is read and compared first')
  return await claimReplica(context.database, row.id, ON_DISK, claimOptions(context))
}

export const claimOptions = (context: Pick<LocalContext, 'owner'>) => ({
  owner: leaseOwner(context),
  leaseSeconds: LEASE_SECONDS,
})

/**
 * Checks the object in the store and verifies a copy on tape, now. When both are right, the row becomes
 * `deleting` and the claim continues; otherwise the row is released unchanged. A copy that is missing or
 * different is recorded with its alert.
 * @throws what passes with time, and ConflictError when the claim was lost: then the file must not be
 * removed.
 */
export async function permit(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  claim: Claim,
  copy: LocalCopy,
  signal: AbortSignal,
): Promise<Permitted | Refused> {
  const badCopies: Replica[] = []
  try {
    const judged = await whileClaimed(context.database, claim, LEASE_SECONDS, signal, (held) =>
      judge(context, claim, copy, (other) => void badCopies.push(other), held),
    )
    if (judged.kind === 'refused') await withdraw(context, claim, judged.why)
    return judged
  } catch (error) {
    await withdraw(context, claim, 'its copies could not be checked').catch((failure) =>
      // The lease then runs out, and the next start of the program ends the deletion.
      context.log.warn({ error: failure, key: copy.key }, 'deletion-not-withdrawn'),
    )
    throw error
  } finally {
    for (const other of badCopies) await recordBadCopy(context, other, signal)
  }
}

async function judge(
  context: Context<'database' | 's3' | 'tape'>,
  claim: Claim,
  copy: LocalCopy,
  onBadCopy: (other: Replica) => void,
  held: AbortSignal,
): Promise<Permitted | Refused> {
  const flaw = await flawInStore(context, copy, onBadCopy, held)
  if (flaw !== null) return refused(flaw)
  const survivor = await findSurvivor(context, claim.replica, onBadCopy, held)
  if (survivor.kind === 'none') return refused(survivor.reason)
  held.throwIfAborted()
  // Check again: where the endpoint states no checksum, reading the tape may have taken hours.
  const since = await flawInStore(context, copy, onBadCopy, held)
  if (since !== null) return refused(since)
  held.throwIfAborted()
  // Renewed, so that the caller has a whole lease to remove the file before another process ends the
  // deletion.
  await renewClaim(context.database, claim, LEASE_SECONDS)
  return await writeDown(context, claim, copy, survivor)
}

const TOO_LATE = 'it took too long after the copies were checked: they are checked again'

/** Rolls the transaction back and carries the reason of the refusal. */
class NotPermitted extends Error {}

/** Decides again under the run's lock, and writes the tombstone in the same transaction. */
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
    if (!safe) throw new NotPermitted(why)
    if (!copies.some((other) => other.id === survivor.replica.id && verifiedOnTape(other)))
      throw new NotPermitted('the copy on tape changed while it was checked')
    if (await isInUse(trx, survivor.replica.id)) throw new NotPermitted(inUse(survivor.replica))
    if (await isStale({ ...context, database: trx }, survivor, LEASE_SECONDS))
      throw new NotPermitted(TOO_LATE)
    // A repeated request renews a permission that was given and not used.
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
    if (error instanceof NotPermitted) return refused(error.message)
    throw error
  }
  const why = `its object in the store is the catalogued one, and ${survivor.replica.url} was verified just now: ${survivor.verifiedBy}`
  return { kind: 'permitted', tombstoneId, why }
}

/** A file has no version; the tombstone needs one. */
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
  state: 'deleted' | 'withdrawn',
  note: string,
): Promise<void> {
  const at = context.now()
  const change =
    state === 'deleted'
      ? { state: 'deleted' as const, deletedAt: at }
      : { state: stateWithoutDeletion(claim.replica), lastError: note, deletedAt: null }
  const outcome = {
    change,
    note: {
      what: state === 'deleted' ? 'local file deleted' : 'deletion withdrawn',
      detail: `${claim.replica.url}: ${note}`,
    },
    also: (trx: Transaction<Schema>) => endTombstones(trx, claim, state, note, at),
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
  const end = state === 'deleted' ? ({ state, endEvidence: 'statement', note } as const) : { state, note }
  for (const { id } of await openTombstones(trx, replica.id)) await endTombstone(trx, id, end, at)
}

/**
 * The file is kept. Called also when the answer to the step that started the deletion was lost; of a lost
 * claim nothing is changed.
 */
async function withdraw(context: LocalContext, claim: Claim, why: string): Promise<void> {
  const at = context.now()
  const also = (trx: Transaction<Schema>) => endTombstones(trx, claim, 'withdrawn', why, at)
  const change = { state: stateWithoutDeletion(claim.replica) }
  await endClaim(context.database, claim, { change, also }, at).catch((error: unknown) => {
    if (!(error instanceof ConflictError)) throw error
  })
}

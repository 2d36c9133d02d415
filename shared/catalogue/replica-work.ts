/**
 * Work on a replica (verification, deletion): claims with a lease, and their outcomes. Copies to tape and
 * recalls are tasks: shared/work.
 */

import type { Transaction } from 'kysely'
import { type Database, inTransaction } from '../database/connect.ts'
import type { CopyState, Replica, ReplicaState } from '../database/replica-schema.ts'
import type { Schema } from '../database/schema.ts'
import { cutText } from '../text.ts'
import { assertHeld, isFree, type Lease, leaseFor, NO_LEASE, renew, whileHeld } from '../work/lease.ts'
import { addRequests, type Request } from '../work/outbox.ts'
import { lockRunOfReplica, refreshStorage } from './replicas.ts'
import { addHistory } from './runs.ts'

type Trx = Transaction<Schema>

export interface Claim {
  readonly replica: Replica
  /** Identifies this piece of work: a process that lost the lease cannot write over the work of another. */
  readonly owner: string
}

const leaseOf = ({ replica: { id }, owner }: Claim): Lease => ({ table: 'replicas', id, owner })

export interface ClaimOptions {
  readonly owner: string
  readonly leaseSeconds: number
  readonly at: Date
}

/** Claims a replica if it is in one of these states and no one else holds it. Its state does not change. */
export async function claimReplica(
  database: Database,
  id: number,
  states: readonly CopyState[],
  options: Omit<ClaimOptions, 'at'>,
): Promise<Claim | null> {
  const result = await database
    .updateTable('replicas')
    .set(leaseFor(options.owner, options.leaseSeconds))
    .where('id', '=', id)
    .where('state', 'in', states)
    .where(isFree())
    .executeTakeFirst()
  if (result.numUpdatedRows !== 1n) return null
  const replica = await database
    .selectFrom('replicas')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return { replica, owner: options.owner }
}

/**
 * Hands the claim over to another owner; the former has lost it then. Null if it was lost already.
 */
export async function takeOverClaim(
  database: Database,
  { replica, owner: former }: Claim,
  options: Omit<ClaimOptions, 'at'>,
): Promise<Claim | null> {
  const result = await database
    .updateTable('replicas')
    .set(leaseFor(options.owner, options.leaseSeconds))
    .where('id', '=', replica.id)
    .where('leaseOwner', '=', former)
    .executeTakeFirst()
  return result.numUpdatedRows === 1n ? { replica, owner: options.owner } : null
}

/** @throws ConflictError if the claim was lost. */
export const renewClaim = (database: Database, claim: Claim, leaseSeconds: number): Promise<void> =>
  renew(database, leaseOf(claim), leaseSeconds)

/** Renews the claim while `work` runs. The signal passed to `work` aborts when the claim is lost. */
export const whileClaimed = <T>(
  database: Database,
  claim: Claim,
  leaseSeconds: number,
  signal: AbortSignal,
  work: (held: AbortSignal) => Promise<T>,
): Promise<T> => whileHeld(database, leaseOf(claim), leaseSeconds, signal, work)

/** New values of a replica. Columns that are left out stay unchanged. */
export type ReplicaChange = { readonly state?: ReplicaState } & Partial<
  Pick<
    Replica,
    | 'name'
    | 'url'
    | 'storedAt'
    | 'verifiedAt'
    | 'verifiedBy'
    | 'verifiedEvidence'
    | 'doubtedEvidence'
    | 'checkedAt'
    | 'deletedAt'
    | 'attempts'
    | 'nextAttemptAt'
    | 'lastError'
  >
>

export interface ReplicaOutcome {
  readonly change: ReplicaChange
  /** A line of the run's history. */
  readonly note?: { readonly what: string; readonly detail: string } | null
  readonly requests?: readonly Request[]
  /** Written in the same transaction. */
  readonly also?: (trx: Trx) => Promise<void>
}

/**
 * Ends a claim: writes its outcome, the history, the requests that follow and the legacy statuses in one
 * transaction.
 * @throws ConflictError if the claim was lost; nothing is written then.
 */
export async function endClaim(
  database: Database,
  claim: Claim,
  outcome: ReplicaOutcome,
  at: Date,
): Promise<void> {
  await inTransaction(database, async (trx) => {
    const runId = await lockRunOfReplica(trx, claim.replica)
    const result = await trx
      .updateTable('replicas')
      .set({ ...withErrorCut(outcome.change), ...NO_LEASE, updatedAt: at })
      .where('id', '=', claim.replica.id)
      .where('leaseOwner', '=', claim.owner)
      .executeTakeFirst()
    assertHeld(result)
    await writeOutcome(trx, runId, outcome, at)
  })
}

/** Writes an outcome as `endClaim` does, and keeps the claim. */
export async function recordStep(
  database: Database,
  claim: Claim,
  outcome: ReplicaOutcome,
  at: Date,
): Promise<Claim> {
  await inTransaction(database, async (trx) => {
    const runId = await lockRunOfReplica(trx, claim.replica)
    const result = await trx
      .updateTable('replicas')
      .set({ ...withErrorCut(outcome.change), updatedAt: at })
      .where('id', '=', claim.replica.id)
      .where('leaseOwner', '=', claim.owner)
      .executeTakeFirst()
    assertHeld(result)
    await writeOutcome(trx, runId, outcome, at)
  })
  return { ...claim, replica: { ...claim.replica, ...outcome.change } }
}

const withErrorCut = (change: ReplicaChange): ReplicaChange =>
  change.lastError == null ? change : { ...change, lastError: cutText(change.lastError) }

async function writeOutcome(trx: Trx, runId: number, outcome: ReplicaOutcome, at: Date): Promise<void> {
  const { note } = outcome
  if (note != null) await addHistory(trx, [{ runId, what: note.what, detail: cutText(note.detail) }], at)
  await addRequests(trx, outcome.requests ?? [], at)
  await outcome.also?.(trx)
  if (outcome.change.state !== undefined) await refreshStorage(trx, runId)
}

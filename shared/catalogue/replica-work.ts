/**
 * Who works on a replica: claims with a lease, what comes of them, and the endpoint's health. A claim is a
 * row first; the side effect comes after it, under a name that follows from the row, and is looked up before
 * it is repeated.
 */

import { type Expression, type SqlBool, sql, type Transaction } from 'kysely'
import { type Database, inTransaction } from '../database/connect.ts'
import type { Replica, ReplicaState } from '../database/replica-schema.ts'
import type { Schema } from '../database/schema.ts'
import {
  assertHeld,
  DATABASE_NOW,
  isFree,
  type Lease,
  leaseFor,
  NO_LEASE,
  renew,
  whileHeld,
} from '../work/lease.ts'
import { addRequests, type Request } from '../work/outbox.ts'
import { lockRunOfReplica, refreshStorage } from './replicas.ts'
import { addHistory } from './runs.ts'

type Trx = Transaction<Schema>

export interface Claim {
  readonly replica: Replica
  /** Names this piece of work: who lost the lease cannot write what another has begun. */
  readonly owner: string
}

const leaseOf = ({ replica: { id }, owner }: Claim): Lease => ({ table: 'replicas', id, owner })

export interface ClaimOptions {
  readonly owner: string
  readonly leaseSeconds: number
  readonly at: Date
}

/**
 * Takes the next copy that is to be made at an endpoint: live runs before the backlog, the oldest wish first.
 * Null when there is none, when `mostAtOnce` are under way, or while the endpoint rests.
 */
export async function claimTapeCopy(
  database: Database,
  endpoint: string,
  options: ClaimOptions & { readonly mostAtOnce: number },
): Promise<Claim | null> {
  return await inTransaction(database, async (trx) => {
    const health = await lockEndpoint(trx, endpoint)
    if ((health.pausedUntil?.getTime() ?? 0) > options.at.getTime()) return null
    const { busy } = await trx
      .selectFrom('replicas')
      .select((of) => of.fn.countAll<number>().as('busy'))
      .where('kind', '=', 'tape')
      .where('endpoint', '=', endpoint)
      .where((where) =>
        where.or([
          where('state', '=', 'submitted'),
          where.and([where('state', '=', 'copying'), where('leaseUntil', '>', DATABASE_NOW)]),
        ]),
      )
      .executeTakeFirstOrThrow()
    if (Number(busy) >= options.mostAtOnce) return null
    const next =
      (await nextToCopy(trx, endpoint, 'live', options.at)) ??
      (await nextToCopy(trx, endpoint, 'backlog', options.at))
    if (next === null) return null
    const taken = {
      state: 'copying' as const,
      attempts: next.attempts + 1,
      startedAt: options.at,
      leaseOwner: options.owner,
    }
    await trx
      .updateTable('replicas')
      .set({ ...taken, ...leaseFor(options.owner, options.leaseSeconds), updatedAt: options.at })
      .where('id', '=', next.id)
      .execute()
    if (next.state === 'failed') await refreshStorage(trx, next.runId)
    return { replica: { ...next, ...taken }, owner: options.owner }
  })
}

/**
 * The oldest wish of a priority whose time has come. Each state by itself, in the order of the index: a
 * hundred thousand that wait are neither sorted nor locked for the one that is taken.
 */
async function nextToCopy(
  trx: Trx,
  endpoint: string,
  priority: Replica['priority'],
  at: Date,
): Promise<Replica | null> {
  const first = async (state: ReplicaState, isDue: Expression<SqlBool>) =>
    await trx
      .selectFrom('replicas')
      .selectAll()
      .where('kind', '=', 'tape')
      .where('state', '=', state)
      .where('priority', '=', priority)
      .where('endpoint', '=', endpoint)
      .where(isDue)
      .orderBy('requestedAt')
      .orderBy('id')
      .limit(1)
      .forUpdate()
      .executeTakeFirst()
  const found = [
    await first('requested', sql`(next_attempt_at IS NULL OR next_attempt_at <= ${at})`),
    await first('failed', sql`next_attempt_at <= ${at}`),
    // Its function died.
    await first('copying', sql`lease_until < ${DATABASE_NOW}`),
  ].filter((replica) => replica !== undefined)
  return found.toSorted((a, b) => a.requestedAt.getTime() - b.requestedAt.getTime() || a.id - b.id)[0] ?? null
}

/** Takes one replica, when it is in one of these states and nobody else holds it. Its state stays. */
export async function claimReplica(
  database: Database,
  id: number,
  states: readonly ReplicaState[],
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
 * The claim goes over to another piece of work: its first owner has lost it. Null when it was lost already.
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

/** @throws ConflictError when the claim was lost to another. */
export const renewClaim = (database: Database, claim: Claim, leaseSeconds: number): Promise<void> =>
  renew(database, leaseOf(claim), leaseSeconds)

/** Keeps the claim while `work` runs; the signal that work gets aborts when the claim is lost. */
export const whileClaimed = <T>(
  database: Database,
  claim: Claim,
  leaseSeconds: number,
  signal: AbortSignal,
  work: (held: AbortSignal) => Promise<T>,
): Promise<T> => whileHeld(database, leaseOf(claim), leaseSeconds, signal, work)

/** What is known of a replica now. Columns left out stay as they are. */
export type ReplicaChange = Partial<
  Pick<
    Replica,
    | 'state'
    | 'name'
    | 'url'
    | 'storedAt'
    | 'verifiedAt'
    | 'verifiedBy'
    | 'checkedAt'
    | 'expiresAt'
    | 'deletedAt'
    | 'reference'
    | 'generation'
    | 'attempts'
    | 'nextAttemptAt'
    | 'lastError'
    | 'priority'
    | 'requestedAt'
  >
>

export interface ReplicaOutcome {
  readonly change: ReplicaChange
  /** A line of the run's history, where people should read of it. */
  readonly note?: { readonly what: string; readonly detail: string } | null
  readonly requests?: readonly Request[]
  /** Written in the same transaction. */
  readonly also?: (trx: Trx) => Promise<void>
}

/**
 * Ends a claim: writes what came of it with the history, the requests that follow and the legacy statuses, in
 * one transaction.
 * @throws ConflictError when the claim was lost meanwhile: then nothing is written.
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
      .set({ ...fitting(outcome.change), ...NO_LEASE, updatedAt: at })
      .where('id', '=', claim.replica.id)
      .where('leaseOwner', '=', claim.owner)
      .executeTakeFirst()
    assertHeld(result)
    await writeOutcome(trx, runId, outcome, at)
  })
}

/** The same while the claim goes on: a step of it is written down. */
export async function noteStep(
  database: Database,
  claim: Claim,
  outcome: ReplicaOutcome,
  at: Date,
): Promise<Claim> {
  await inTransaction(database, async (trx) => {
    const runId = await lockRunOfReplica(trx, claim.replica)
    const result = await trx
      .updateTable('replicas')
      .set({ ...fitting(outcome.change), updatedAt: at })
      .where('id', '=', claim.replica.id)
      .where('leaseOwner', '=', claim.owner)
      .executeTakeFirst()
    assertHeld(result)
    await writeOutcome(trx, runId, outcome, at)
  })
  return { ...claim, replica: { ...claim.replica, ...outcome.change } }
}

/** Endpoints answer with whole pages at times: the row must be freed all the same. */
const MOST_CHARACTERS = 4000
const fitting = (change: ReplicaChange): ReplicaChange =>
  change.lastError == null ? change : { ...change, lastError: change.lastError.slice(0, MOST_CHARACTERS) }

async function writeOutcome(trx: Trx, runId: number, outcome: ReplicaOutcome, at: Date): Promise<void> {
  const { note } = outcome
  if (note != null)
    await addHistory(trx, [{ runId, what: note.what, detail: note.detail.slice(0, MOST_CHARACTERS) }], at)
  await addRequests(trx, outcome.requests ?? [], at)
  await outcome.also?.(trx)
  if (outcome.change.state !== undefined) await refreshStorage(trx, runId)
}

/**
 * Locked before it is inserted: an insertion that finds the row takes a shared lock, from which two at once
 * cannot go on.
 */
async function lockEndpoint(trx: Trx, endpoint: string) {
  const locked = trx.selectFrom('tapeEndpoints').selectAll().where('endpoint', '=', endpoint).forUpdate()
  const found = await locked.executeTakeFirst()
  if (found !== undefined) return found
  await trx.insertInto('tapeEndpoints').ignore().values({ endpoint }).execute()
  return await locked.executeTakeFirstOrThrow()
}

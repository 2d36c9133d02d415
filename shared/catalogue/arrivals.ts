/**
 * The ledger of arrivals: one row for each object version that was notified or listed, with its lease, its
 * outcome and the time of its next attempt.
 */
import { createHash } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { Database, Executor } from '../database/connect.ts'
import type { Arrival, ArrivalOutcome, ArrivalState, Integrity, Schema } from '../database/schema.ts'
import type { ObjectArrival } from '../notifications/arrival.ts'
import { runInName } from '../notifications/run-in-name.ts'
import type { ObjectName, ObjectVersion } from '../run.ts'
import { cutText } from '../text.ts'
import { storeBreaker } from '../work/breaker.ts'
import { assertHeld, DATABASE_NOW, isFree, type Lease, leaseFor, NO_LEASE } from '../work/lease.ts'
import { retryOf, type UnfinishedEnding } from '../work/retry-policy.ts'

/**
 * Attempts at an arrival, spread over about five days; after the last one it is tried only when the listing
 * announces it, once a day, or by `cygnet replay`.
 */
export const MOST_ATTEMPTS = 30

/** The most refused files that are shown of a run. */
const MOST_REFUSED = 100

/**
 * Identifies an object version. An arrival without version id and ETag stands for whatever version the store
 * holds.
 */
export interface VersionName {
  readonly bucket: string
  readonly key: string
  readonly versionId: string | null
  readonly etag: string | null
}

/** The ledger's key of an object version: SHA-256 of bucket, key and version id (else ETag). */
export function identityOf(version: VersionName): Buffer {
  return createHash('sha256')
    .update(
      `${version.bucket}\0${version.key}\0${version.versionId ?? ''}\0${version.versionId === null ? (version.etag ?? '') : ''}`,
    )
    .digest()
}

const rowOf = (arrival: ObjectArrival, at: Date) => ({
  identity: identityOf(arrival),
  bucket: arrival.bucket,
  objectKey: arrival.key,
  versionId: arrival.versionId,
  etag: arrival.etag ?? '',
  sizeBytes: arrival.sizeBytes,
  eventName: arrival.eventName,
  eventTime: arrival.eventTime,
  sequencer: arrival.sequencer,
  source: arrival.source,
  state: 'received' as const,
  nextAttemptAt: at,
  receivedAt: at,
  announcedAt: at,
})

/** Writes arrivals into the ledger as `received` and due; existing rows are left unchanged. */
export async function recordArrivals(
  database: Executor,
  arrivals: readonly ObjectArrival[],
  at: Date,
): Promise<void> {
  if (arrivals.length === 0) return
  const rows = arrivals.map((arrival) => rowOf(arrival, at))
  await database.insertInto('arrivals').ignore().values(rows).execute()
}

export interface ClaimOptions {
  readonly owner: string
  readonly leaseSeconds: number
  readonly at: Date
  readonly isHistory: boolean
}

/**
 * Inserts a new arrival and claims its lease, in one statement. Null when the version is in the ledger
 * already: then use `lookUpArrival` and `claimArrival`.
 */
export async function claimNewArrival(
  database: Database,
  arrival: ObjectArrival,
  version: ObjectVersion,
  options: ClaimOptions,
): Promise<ArrivalLease | null> {
  const claim = {
    state: 'processing' as const,
    attempts: 1,
    ...leaseFor(options.owner, options.leaseSeconds),
    lastModified: version.lastModified,
    isHistory: options.isHistory,
  }
  const row = { ...rowOf({ ...arrival, ...version }, options.at), ...claim }
  const insertion = database
    .insertInto('arrivals')
    .ignore()
    .values(row)
    .returning((of) => [
      'id',
      of
        .exists(
          of
            .selectFrom('breakers')
            .select('dependency')
            .where('dependency', '=', storeBreaker(version.bucket))
            .where('failures', '>', 0),
        )
        .as('storeFailed'),
    ])
  const { rows } = await database.executeQuery(insertion.compile())
  const [inserted] = rows
  if (inserted === undefined) return null
  const { id, storeFailed } = inserted
  return {
    table: 'arrivals',
    id,
    owner: options.owner,
    isNew: true,
    attempt: 1,
    restarts: 0,
    storeFailed: Boolean(storeFailed),
  }
}

/**
 * Locks the ledger's rows of all versions of an object until the transaction ends, so that only one version
 * is catalogued at a time. Returns the number of versions.
 */
export async function lockVersions(trx: Transaction<Schema>, object: ObjectName): Promise<number> {
  const versions = await trx
    .selectFrom('arrivals')
    .select('id')
    .where('bucket', '=', object.bucket)
    .where('objectKey', '=', object.key)
    .forUpdate()
    .execute()
  return versions.length
}

export async function findArrival(database: Executor, version: VersionName): Promise<Arrival | null> {
  const row = await database
    .selectFrom('arrivals')
    .selectAll()
    .where('identity', '=', identityOf(version))
    .executeTakeFirst()
  return row ?? null
}

/** The version that the store holds under a key, according to the catalogue. */
export interface LiveVersion {
  readonly etag: string
  readonly runId: number
  readonly integrity: Integrity
  readonly storedAt: Date
  /** False when the object is missing, or was deleted after its copy on tape was verified. */
  readonly inStore: boolean
  /** A check contradicted its copy in the store. */
  readonly isDoubted: boolean
}

/**
 * An arrival, and the version that the store holds under its key according to the catalogue, null for none.
 */
export interface KnownArrival {
  readonly arrival: Arrival
  readonly live: LiveVersion | null
}

/** The arrival of an object version. */
export async function lookUpArrival(database: Database, version: VersionName): Promise<KnownArrival | null> {
  const row = await selectKnown(database)
    .where('arrivals.identity', '=', identityOf(version))
    .executeTakeFirst()
  return row === undefined ? null : knownArrival(row)
}

/** The arrivals of all versions of objects of a bucket. */
export async function lookUpArrivals(
  database: Database,
  bucket: string,
  keys: readonly string[],
): Promise<readonly KnownArrival[]> {
  if (keys.length === 0) return []
  const rows = await selectKnown(database)
    .where('arrivals.bucket', '=', bucket)
    .where('arrivals.objectKey', 'in', keys)
    .execute()
  return rows.map(knownArrival)
}

type KnownRow = Awaited<ReturnType<ReturnType<typeof selectKnown>['execute']>>[number]

const selectKnown = (database: Database) =>
  database
    .selectFrom('arrivals')
    .leftJoin('runFiles', (join) =>
      join
        .onRef('runFiles.bucket', '=', 'arrivals.bucket')
        .onRef('runFiles.objectKey', '=', 'arrivals.objectKey')
        .on('runFiles.isLive', '=', true),
    )
    .leftJoin('replicas', (join) =>
      join
        .onRef('replicas.bucket', '=', 'runFiles.bucket')
        .onRef('replicas.objectKey', '=', 'runFiles.objectKey')
        .onRef('replicas.sha256', '=', 'runFiles.sha256')
        .on('replicas.kind', '=', 'cloud'),
    )
    .selectAll('arrivals')
    .select([
      'runFiles.etag as liveEtag',
      'runFiles.runId as runId',
      'runFiles.integrity',
      'runFiles.lastModified as storedAt',
    ])
    .select(['replicas.state as replicaState', 'replicas.doubtedEvidence'])

function knownArrival(row: KnownRow): KnownArrival {
  const { liveEtag, runId, integrity, storedAt, replicaState, doubtedEvidence, ...arrival } = row
  if (liveEtag === null || runId === null || integrity === null || storedAt === null)
    return { arrival, live: null }
  const inStore = replicaState !== 'deleted' && replicaState !== 'missing'
  const isDoubted = doubtedEvidence !== null
  return { arrival, live: { etag: liveEtag, runId, integrity, storedAt, inStore, isDoubted } }
}

/** The object was read, or is not named like a run. */
export const isFinished = ({ state }: Pick<Arrival, 'state'>): boolean =>
  state === 'done' || state === 'invalid'

/** With that of the function that left the arrival in progress. */
const deathsOf = (found: Arrival): number =>
  isFinished(found) ? 0 : found.deaths + (found.state === 'processing' ? 1 : 0)

/** The lease on an arrival. */
export interface ArrivalLease extends Lease {
  readonly table: 'arrivals'
  /** The version was not in the ledger before: nothing was ever alerted about it. */
  readonly isNew: boolean
  /** 1 for the first try. */
  readonly attempt: number
  readonly restarts: number
  /** Whether the store may have failed before: then a success must be reported to its breaker. */
  readonly storeFailed: boolean
}

/**
 * Claims the lease on an arrival. Null when the row has changed since it was read, or another process holds
 * the lease. A finished arrival is restarted: the caller decides whether it should be.
 */
export async function claimArrival(
  database: Database,
  found: Arrival,
  version: ObjectVersion,
  options: ClaimOptions,
): Promise<ArrivalLease | null> {
  // The attempts before a finished reading do not count for a new one.
  const attempt = isFinished(found) ? 1 : found.attempts + 1
  const restarts = isFinished(found) ? found.restarts + 1 : found.restarts
  const claim = database
    .updateTable('arrivals')
    .set({
      state: 'processing',
      outcome: null,
      reason: null,
      attempts: attempt,
      restarts,
      deaths: deathsOf(found),
      nextAttemptAt: options.at,
      ...leaseFor(options.owner, options.leaseSeconds),
      etag: version.etag,
      lastModified: version.lastModified,
      sizeBytes: version.sizeBytes,
      isHistory: options.isHistory,
      finishedAt: null,
    })
    .where('id', '=', found.id)
    .where('attempts', '=', found.attempts)
    .where('state', '=', found.state)
    .where((where) => where.or([where('state', '!=', 'processing'), isFree()]))
  const result = await claim.executeTakeFirst()
  return result.numUpdatedRows === 0n
    ? null
    : {
        table: 'arrivals',
        id: found.id,
        owner: options.owner,
        isNew: false,
        attempt,
        restarts,
        storeFailed: true,
      }
}

/** The row after an attempt that did not finish the arrival: `failed` from the sixth failure on. */
export interface UnfinishedArrival {
  readonly state: 'received' | 'failed'
  readonly attempts: number
  readonly reason: string
  readonly nextAttemptAt: Date | null
}

/** Follows the retry policy of tasks. @param attempts including the one that has ended. */
export function unfinishedArrival(
  attempts: number,
  ending: UnfinishedEnding,
  reason: string,
  at: Date,
): UnfinishedArrival {
  const retry = retryOf(attempts, ending, at)
  return {
    state: retry.isFailing ? 'failed' : 'received',
    attempts: retry.attempts,
    reason: cutText(reason),
    nextAttemptAt: retry.attempts < MOST_ATTEMPTS ? retry.nextAttemptAt : null,
  }
}

/**
 * Records an unfinished attempt at an arrival without a lease: the object could not be described, or its
 * readers died. A finished arrival stays finished and is checked again. False when another function has
 * claimed it.
 */
export async function recordUnfinished(
  database: Executor,
  found: Arrival,
  unfinished: UnfinishedArrival,
): Promise<boolean> {
  const result = await database
    .updateTable('arrivals')
    .set(
      isFinished(found)
        ? { nextAttemptAt: unfinished.nextAttemptAt }
        : {
            ...unfinished,
            outcome: null,
            deaths: deathsOf(found),
            ...NO_LEASE,
            finishedAt: finishedAtOf(unfinished.state),
          },
    )
    .where('id', '=', found.id)
    .where('attempts', '=', found.attempts)
    .where('state', '=', found.state)
    .where(isFree())
    .executeTakeFirst()
  return result.numUpdatedRows === 1n
}

const finishedAtOf = (state: ArrivalState) => (state === 'received' ? null : DATABASE_NOW)

type NamedColumns = Pick<Arrival, 'namedTag' | 'namedRun'>

/** The columns by which an invalid arrival is found. */
export function namedRunOf({ key }: Pick<ObjectName, 'key'>): NamedColumns {
  const named = runInName(key)
  return { namedTag: named?.tag ?? null, namedRun: named?.runNumber ?? null }
}

/**
 * The invalid arrivals whose names state or resemble the number of a run, newest first; not those whose key
 * has a readable file now.
 */
export async function refusedFilesOf(
  executor: Executor,
  run: { readonly runNumber: number; readonly tag?: string | undefined },
): Promise<readonly Arrival[]> {
  return await executor
    .selectFrom('arrivals')
    .leftJoin('runFiles', (join) =>
      join
        .onRef('runFiles.bucket', '=', 'arrivals.bucket')
        .onRef('runFiles.objectKey', '=', 'arrivals.objectKey')
        .on('runFiles.isLive', '=', true),
    )
    .selectAll('arrivals')
    .where('arrivals.namedRun', '=', run.runNumber)
    .$if(run.tag !== undefined, (query) => query.where('arrivals.namedTag', '=', run.tag as string))
    .where('arrivals.state', '=', 'invalid')
    .where('runFiles.id', 'is', null)
    .orderBy('arrivals.id', 'desc')
    .limit(MOST_REFUSED)
    .execute()
}

/** Ends an attempt. @throws ConflictError when the lease was lost meanwhile: then nothing is written. */
export async function endAttempt(
  database: Executor,
  lease: ArrivalLease,
  end:
    | UnfinishedArrival
    | { readonly state: 'done'; readonly outcome: ArrivalOutcome; readonly reason?: string }
    | ({ readonly state: 'invalid'; readonly reason: string } & NamedColumns),
): Promise<void> {
  const ended = { outcome: null, reason: null, nextAttemptAt: null, ...end }
  const result = await database
    .updateTable('arrivals')
    .set({ ...ended, ...NO_LEASE, finishedAt: finishedAtOf(end.state) })
    .where('id', '=', lease.id)
    .where('leaseOwner', '=', lease.owner)
    .executeTakeFirst()
  assertHeld(result)
}

/**
 * Closes an arrival without a lease that needs no more work: a newer version has replaced the object, or it
 * is missing from the store.
 */
export async function closeArrival(
  database: Executor,
  version: VersionName,
  outcome: 'superseded' | 'gone',
  reason: string,
): Promise<void> {
  await database
    .updateTable('arrivals')
    .set({
      state: outcome === 'gone' ? 'failed' : 'done',
      outcome,
      reason,
      nextAttemptAt: null,
      ...NO_LEASE,
      finishedAt: DATABASE_NOW,
    })
    .where('identity', '=', identityOf(version))
    .where('state', 'in', ['received', 'processing', 'failed'])
    .where(isFree())
    .execute()
}

/** Records as invalid an arrival whose key cannot be that of a run; the object is not read. */
export async function rejectArrival(
  database: Executor,
  arrival: ObjectArrival,
  reason: string,
  at: Date,
): Promise<void> {
  await recordArrivals(database, [arrival], at)
  await database
    .updateTable('arrivals')
    .set({ state: 'invalid', reason, nextAttemptAt: null, finishedAt: at, ...namedRunOf(arrival) })
    .where('identity', '=', identityOf(arrival))
    .where('state', 'in', ['received', 'failed'])
    .execute()
}

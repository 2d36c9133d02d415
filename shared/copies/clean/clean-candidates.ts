/**
 * Copies in the store that may be deleted by what their rows state, the oldest first, a page at a time. The
 * decision about each is made by deleteCloudCopy.
 */

import { type ExpressionBuilder, type SqlBool, sql } from 'kysely'
import { IN_STORE, SHOULD_BE_IN_STORE } from '../../catalogue/replica-states.ts'
import type { Database, Executor } from '../../database/connect.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { Schema } from '../../database/schema.ts'
import type { RunId } from '../../run.ts'
import { latestTime } from '../../work/due.ts'
import { isFree } from '../../work/lease.ts'
import { RETRY_AFTER_MS } from '../delete/end-deletion.ts'
import { plainPrefix } from '../delete/protected.ts'

export interface CandidateFilter {
  /** Stored at this time or before. */
  readonly until: Date
  readonly tag: string | null
  /** Only copies whose contents are on the medium at this endpoint: no other copy can be verified. */
  readonly tapeEndpoint: string
  readonly rawBuckets: readonly string[]
  readonly protectedPrefixes: readonly string[]
  readonly now: Date
}

const PAGE = 200

/** In the order of the time they were stored. What was refused lately is left out until its next attempt. */
export async function* deletionCandidates(
  database: Database,
  filter: CandidateFilter,
): AsyncGenerator<Replica> {
  let after = { storedAt: new Date(0), id: 0 }
  for (;;) {
    const { storedAt, id } = after
    const page = await database
      .selectFrom('replicas')
      .selectAll()
      .where(mayBeDeleted(filter))
      .where((where) =>
        where.or([
          where('storedAt', '>', storedAt),
          where.and([where('storedAt', '=', storedAt), where('id', '>', id)]),
        ]),
      )
      .orderBy('storedAt')
      .orderBy('id')
      .limit(PAGE)
      .execute()
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = { storedAt: last.storedAt ?? storedAt, id: last.id }
  }
}

/**
 * Copies that were deleted before (there is a tombstone), were brought back by a recall that has expired, and
 * were not dropped anew since. The query starts from the recalls, which are few, because the store may hold a
 * million copies.
 */
export async function* recalledCandidates(
  database: Database,
  filter: CandidateFilter,
): AsyncGenerator<Replica> {
  for (let after = 0; ; ) {
    const page = await database
      .selectFrom('recalls as recall')
      .innerJoin('replicas', (join) =>
        join
          .onRef('replicas.bucket', '=', 'recall.bucket')
          .onRef('replicas.objectKey', '=', 'recall.objectKey')
          .onRef('replicas.sha256', '=', 'recall.sha256'),
      )
      .modifyFront(sql`STRAIGHT_JOIN`)
      .selectAll('replicas')
      // Only recalls that brought the object back: not one that failed, nor one of an object that was still
      // in the store.
      .where('recall.state', '!=', 'planned')
      .where('recall.etag', 'is not', null)
      .where('recall.expiresAt', '<=', filter.now)
      .whereRef('recall.expiresAt', '>=', 'replicas.storedAt')
      .where(mayBeDeleted(filter))
      .where((where) =>
        where.exists(
          where
            .selectFrom('tombstones')
            .select('tombstones.id')
            .whereRef('tombstones.replicaId', '=', 'replicas.id')
            .where('tombstones.state', '=', 'deleted'),
        ),
      )
      .where('replicas.id', '>', after)
      .orderBy('replicas.id')
      .limit(PAGE)
      .execute()
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = last.id
  }
}

/** The rules that a query over all copies in the store can check. */
function mayBeDeleted(filter: CandidateFilter) {
  const { until, tag, tapeEndpoint, rawBuckets, protectedPrefixes, now } = filter
  const prefixes = protectedPrefixes.map(plainPrefix)
  return ({ and, or, eb, exists, selectFrom }: ExpressionBuilder<Schema, 'replicas'>) =>
    and([
      eb('replicas.kind', '=', 'cloud'),
      eb('replicas.state', '=', 'present'),
      eb('replicas.storedAt', '<=', until),
      eb('replicas.bucket', 'in', rawBuckets),
      ...(tag === null ? [] : [eb('replicas.tag', '=', tag)]),
      or([
        eb('replicas.nextAttemptAt', 'is', null),
        eb('replicas.nextAttemptAt', '<=', now),
        eb('replicas.nextAttemptAt', '>', latestTime(now, RETRY_AFTER_MS)),
      ]),
      isFree('replicas'),
      ...prefixes.map(
        (prefix) =>
          sql<SqlBool>`${prefix} NOT IN (LEFT(replicas.object_key, CHAR_LENGTH(${prefix})),
            LEFT(CONCAT(replicas.bucket, '/', replicas.object_key), CHAR_LENGTH(${prefix})))`,
      ),
      exists(
        selectFrom('replicas as copy')
          .select('copy.id')
          .whereRef('copy.bucket', '=', 'replicas.bucket')
          .whereRef('copy.objectKey', '=', 'replicas.objectKey')
          .whereRef('copy.sha256', '=', 'replicas.sha256')
          .where('copy.kind', '=', 'tape')
          .where('copy.state', '=', 'on-media')
          .where('copy.endpoint', '=', tapeEndpoint),
      ),
    ])
}

/** Deletions whose function died: they are settled before anything else is deleted. */
export const abandonedDeletions = (database: Database): Promise<readonly Replica[]> =>
  database
    .selectFrom('replicas')
    .selectAll()
    .where('kind', '=', 'cloud')
    .where('state', '=', 'deleting')
    .where(isFree())
    .orderBy('id')
    .limit(PAGE)
    .execute()

/** What is in the store of a run, or should be, under every use of its number. */
export const cloudCopiesOfRun = (database: Database, run: RunId): Promise<readonly Replica[]> =>
  database
    .selectFrom('replicas')
    .selectAll()
    .where('kind', '=', 'cloud')
    .where('tag', '=', run.tag)
    .where('runNumber', '=', run.runNumber)
    .where('state', 'in', SHOULD_BE_IN_STORE)
    .orderBy('id')
    .execute()

/** What the runs in the store take up by the catalogue, bytes. */
export async function bytesInStore(database: Executor): Promise<number> {
  const { bytes } = await database
    .selectFrom('replicas')
    .select((of) => of.fn.sum<number | string | null>('sizeBytes').as('bytes'))
    .where('kind', '=', 'cloud')
    .where('state', 'in', IN_STORE)
    .executeTakeFirstOrThrow()
  return Number(bytes ?? 0)
}

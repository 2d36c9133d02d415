/** The copies in the store that may be worth deleting, the oldest first, a page at a time. Whether one may go is decided elsewhere. */
import { sql } from 'kysely'
import type { Database } from '../catalogue/database.ts'
import type { Replica } from '../catalogue/replica-schema.ts'
import { plainPrefix } from './protected.ts'

export interface CandidateFilter {
  /** Stored at this time or before. */
  readonly until: Date
  readonly tag: string | null
  /** Only what has a copy on the medium there: no other can be verified. */
  readonly tapeEndpoint: string
  /** In these buckets. */
  readonly rawBuckets: readonly string[]
  readonly protectedPrefixes: readonly string[]
  /** Only what was deleted before, brought back, and is not asked for any more. */
  readonly recallOver: boolean
  readonly now: Date
}

const PAGE = 200

/** Ordered by when they were stored. What was refused lately is left out until it is looked at again. */
export async function* deletionCandidates(database: Database, filter: CandidateFilter): AsyncGenerator<Replica> {
  let after = { storedAt: new Date(0), id: 0 }
  for (;;) {
    const page = await candidatePage(database, filter, after)
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = { storedAt: last.stored_at ?? after.storedAt, id: last.id }
  }
}

function candidatePage(database: Database, filter: CandidateFilter, after: { readonly storedAt: Date; readonly id: number }) {
  return database
    .selectFrom('replicas')
    .selectAll()
    .where('kind', '=', 'cloud')
    .where('state', '=', 'present')
    .where('stored_at', '<=', filter.until)
    .where('bucket', 'in', filter.rawBuckets)
    .where((where) =>
      where.or([where('stored_at', '>', after.storedAt), where.and([where('stored_at', '=', after.storedAt), where('id', '>', after.id)])]),
    )
    .where((where) => where.or([where('next_attempt_at', 'is', null), where('next_attempt_at', '<=', filter.now)]))
    .where((where) => where.or([where('lease_until', 'is', null), where('lease_until', '<', sql<Date>`UTC_TIMESTAMP(3)`)]))
    .$if(filter.tag !== null, (query) => query.where('tag', '=', filter.tag as string))
    .$if(filter.recallOver, (query) => query.where(wasBroughtBack(filter.now)))
    .where((where) =>
      where.and(
        filter.protectedPrefixes.map(
          (prefix) =>
            sql<boolean>`${plainPrefix(prefix)} NOT IN (LEFT(object_key, CHAR_LENGTH(${plainPrefix(prefix)})),
              LEFT(CONCAT(bucket, '/', object_key), CHAR_LENGTH(${plainPrefix(prefix)})))`,
        ),
      ),
    )
    .where((where) =>
      where.exists(
        where
          .selectFrom('replicas as copy')
          .select('copy.id')
          .whereRef('copy.bucket', '=', 'replicas.bucket')
          .whereRef('copy.object_key', '=', 'replicas.object_key')
          .whereRef('copy.sha256', '=', 'replicas.sha256')
          .where('copy.kind', '=', 'tape')
          .where('copy.state', '=', 'on-media')
          .where('copy.endpoint', '=', filter.tapeEndpoint),
      ),
    )
    .orderBy('stored_at')
    .orderBy('id')
    .limit(PAGE)
    .execute()
}

/** A tombstone says that it had gone; the recall that brought it back is over, and it was not dropped anew after that. */
const wasBroughtBack = (now: Date) => sql<boolean>`
  EXISTS (SELECT 1 FROM tombstones AS tombstone WHERE tombstone.replica_id = replicas.id AND tombstone.state = 'deleted')
  AND EXISTS (SELECT 1 FROM replicas AS recall
    WHERE recall.bucket = replicas.bucket AND recall.object_key = replicas.object_key AND recall.sha256 = replicas.sha256
      AND recall.kind = 'recall' AND recall.expires_at <= ${now} AND recall.expires_at >= replicas.stored_at)`

/** Deletions whose function died: they are settled before anything else is deleted. */
export const abandonedDeletions = (database: Database): Promise<readonly Replica[]> =>
  database
    .selectFrom('replicas')
    .selectAll()
    .where('kind', '=', 'cloud')
    .where('state', '=', 'deleting')
    .where((where) => where.or([where('lease_until', 'is', null), where('lease_until', '<', sql<Date>`UTC_TIMESTAMP(3)`)]))
    .orderBy('id')
    .limit(PAGE)
    .execute()

/** The copies in the store of a run, under every use of its number. */
export const cloudCopiesOfRun = (
  database: Database,
  run: { readonly tag: string; readonly runNumber: number },
): Promise<readonly Replica[]> =>
  database
    .selectFrom('replicas')
    .selectAll()
    .where('kind', '=', 'cloud')
    .where('tag', '=', run.tag)
    .where('run_number', '=', run.runNumber)
    .where('state', 'in', ['present', 'deleting'])
    .orderBy('id')
    .execute()

/** What the runs in the store take up by the catalogue, bytes. */
export async function bytesInStore(database: Database): Promise<number> {
  const { bytes } = await database
    .selectFrom('replicas')
    .select((of) => of.fn.sum<number | string | null>('size_bytes').as('bytes'))
    .where('kind', '=', 'cloud')
    .where('state', 'in', ['present', 'deleting', 'suspicious'])
    .executeTakeFirstOrThrow()
  return Number(bytes ?? 0)
}

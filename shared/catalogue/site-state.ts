/** The state of every site at a moment: its last run, what arrives, what is being copied, and what wants attention. */
import { sql } from 'kysely'
import { parseRunKey } from '../notifications/run-key.ts'
import type { Database } from './database.ts'
import type { ReplicaKind, ReplicaState } from './replica-schema.ts'
import type { Run } from './schema.ts'

/** Tags that may be seen; `*` for all. */
export type VisibleTags = '*' | readonly string[]

export interface SiteState {
  readonly tag: string
  /** The highest number in use. */
  readonly lastRun: Run
  /** Runs catalogued since `since`, and those of them that are not complete. */
  readonly recent: { readonly runs: number; readonly incomplete: number; readonly sizeBytes: number; readonly events: number }
  readonly arriving: Waiting
  /** Objects that could not be catalogued since `since`. */
  readonly refused: number
  readonly copies: readonly CopiesInState[]
}

export interface Waiting {
  readonly count: number
  readonly oldest: Date | null
  /** True when there are more than were counted. */
  readonly atLeast: boolean
}

/** Copies that are not where they should be yet. */
export interface CopiesInState {
  readonly kind: ReplicaKind
  readonly state: ReplicaState
  readonly priority: 'live' | 'backlog'
  readonly count: number
  readonly sizeBytes: number
  /** When the oldest of them was asked for. */
  readonly oldest: Date
}

const TAPE_UNDER_WAY: readonly ReplicaState[] = ['requested', 'copying', 'submitted', 'staged', 'failed']
const RECALL_UNDER_WAY: readonly ReplicaState[] = ['requested', 'submitted', 'staging', 'copying', 'failed']
const WRONG: readonly ReplicaState[] = ['missing', 'suspicious']

/** Arrivals are counted one by one, by the tag in their key, up to so many. */
const MOST_ARRIVALS = 5000

/** Every site that has runs and may be seen, by its tag. */
export async function siteStates(database: Database, tags: VisibleTags, since: Date): Promise<readonly SiteState[]> {
  const [last, recent, arriving, refused, copies] = await Promise.all([
    lastRuns(database, tags),
    recentRuns(database, tags, since),
    openArrivals(database),
    refusedArrivals(database, since),
    openCopies(database, tags),
  ])
  return last.map((lastRun) => {
    const { tag } = lastRun
    return {
      tag,
      lastRun,
      recent: recent.get(tag) ?? { runs: 0, incomplete: 0, sizeBytes: 0, events: 0 },
      arriving: arriving.get(tag) ?? { count: 0, oldest: null, atLeast: false },
      refused: refused.get(tag) ?? 0,
      copies: copies.filter((row) => row.tag === tag),
    }
  })
}

/** The tags that have runs and may be seen. */
export async function tagsWithRuns(database: Database, tags: VisibleTags): Promise<readonly string[]> {
  const rows = await database.selectFrom('runs').select('tag').distinct().where(inTags(tags)).orderBy('tag').execute()
  return rows.map((row) => row.tag)
}

async function lastRuns(database: Database, tags: VisibleTags): Promise<readonly Run[]> {
  // One look into the index `newest` a tag, however many runs there are.
  const newest = database
    .selectFrom('runs')
    .select(['tag', (select) => select.fn.max('run_number').as('run_number')])
    .where('is_current', '=', 1)
    .where(inTags(tags))
    .groupBy('tag')
  return await database
    .selectFrom('runs')
    .innerJoin(newest.as('newest'), (join) => join.onRef('newest.tag', '=', 'runs.tag').onRef('newest.run_number', '=', 'runs.run_number'))
    .selectAll('runs')
    .where('is_current', '=', 1)
    .orderBy('runs.tag')
    .execute()
}

async function recentRuns(database: Database, tags: VisibleTags, since: Date): Promise<ReadonlyMap<string, SiteState['recent']>> {
  const rows = await database
    .selectFrom('runs')
    .select([
      'tag',
      sql<number>`COUNT(*)`.as('runs'),
      sql<number>`SUM(complete = 0)`.as('incomplete'),
      sql<number>`SUM(size_bytes)`.as('sizeBytes'),
      sql<number>`SUM(event_count)`.as('events'),
    ])
    .where('is_current', '=', 1)
    .where('started_at', '>=', since)
    .where(inTags(tags))
    .groupBy('tag')
    .execute()
  return new Map(
    rows.map(({ tag, ...row }) => [
      tag,
      { runs: Number(row.runs), incomplete: Number(row.incomplete), sizeBytes: Number(row.sizeBytes), events: Number(row.events) },
    ]),
  )
}

async function openArrivals(database: Database): Promise<ReadonlyMap<string, Waiting>> {
  const rows = await database
    .selectFrom('arrivals')
    .select(['object_key', 'received_at'])
    .where('state', 'in', ['received', 'processing'])
    .orderBy('received_at')
    .limit(MOST_ARRIVALS)
    .execute()
  const byTag = Map.groupBy(rows, (row) => parseRunKey(row.object_key)?.tag ?? '')
  const atLeast = rows.length === MOST_ARRIVALS
  return new Map([...byTag].map(([tag, own]) => [tag, { count: own.length, oldest: own[0]?.received_at ?? null, atLeast }]))
}

async function refusedArrivals(database: Database, since: Date): Promise<ReadonlyMap<string, number>> {
  const rows = await database
    .selectFrom('arrivals')
    .select('object_key')
    .where('state', 'in', ['invalid', 'failed'])
    .where('received_at', '>=', since)
    .limit(MOST_ARRIVALS)
    .execute()
  const byTag = Map.groupBy(rows, (row) => parseRunKey(row.object_key)?.tag ?? '')
  return new Map([...byTag].map(([tag, own]) => [tag, own.length]))
}

/** Copies that are under way, failed, or not what or where they were; by tag, place and state. */
export async function openCopies(database: Database, tags: VisibleTags): Promise<readonly (CopiesInState & { readonly tag: string })[]> {
  const rows = await database
    .selectFrom('replicas')
    .select([
      'tag',
      'kind',
      'state',
      'priority',
      sql<number>`COUNT(*)`.as('count'),
      sql<number>`SUM(size_bytes)`.as('sizeBytes'),
      sql<Date>`MIN(requested_at)`.as('oldest'),
    ])
    .where((where) =>
      where.or([
        where.and([where('kind', '=', 'tape'), where('state', 'in', [...TAPE_UNDER_WAY, ...WRONG])]),
        where.and([where('kind', '=', 'recall'), where('state', 'in', RECALL_UNDER_WAY)]),
        where.and([where('kind', '=', 'cloud'), where('state', 'in', WRONG)]),
      ]),
    )
    .where(inTags(tags))
    .groupBy(['tag', 'kind', 'state', 'priority'])
    .orderBy('tag')
    .orderBy('kind')
    .orderBy('state')
    .orderBy('priority')
    .execute()
  return rows.map((row) => ({ ...row, count: Number(row.count), sizeBytes: Number(row.sizeBytes) }))
}

/** For queries on one table with a column of tags. */
const inTags = (tags: VisibleTags) =>
  tags === '*' ? sql<boolean>`TRUE` : sql<boolean>`tag IN (${tags.length === 0 ? sql`NULL` : sql.join(tags)})`

/** The current state of every site: last run, arrivals, copies in progress, and problems. */
import { type ExpressionBuilder, sql } from 'kysely'
import { RECALL } from '../catalogue/recalls.ts'
import { IN_PROGRESS, WRONG } from '../catalogue/replica-states.ts'
import { TAPE_COPY } from '../catalogue/replicas.ts'
import type { Database } from '../database/connect.ts'
import type { CopyKind, CopyState, ShownCopy } from '../database/replica-schema.ts'
import type { Run, Schema } from '../database/schema.ts'
import { awaitedRuns } from './awaited-runs.ts'
import { type ArrivalsOfTag, openArrivals } from './open-arrivals.ts'
import { NEVER_ARRIVED, type SiteArrivals, siteArrivals } from './site-arrivals.ts'
import { type LastRun, lastRuns, latestRuns, type RecentRuns, recentRuns } from './site-runs.ts'
import { type UntapedRuns, untapedRuns } from './untaped-runs.ts'

/** Tags that may be seen; `*` for all. */
export type VisibleTags = '*' | readonly string[]

export interface SiteState extends ArrivalsOfTag {
  readonly tag: string
  readonly last: LastRun
  /** The runs that began last, newest first. */
  readonly latest: readonly Run[]
  readonly arrived: SiteArrivals
  /** When each run of the last week ended of which no file has arrived, the earliest first. */
  readonly awaited: readonly Date[]
  /** Catalogued since `since`. */
  readonly recent: RecentRuns
  readonly copies: readonly CopiesInState[]
  /** Runs without any copy on tape for too long; null when there are none. */
  readonly untaped: UntapedRuns | null
}

/** Waiting or refused arrivals of a tag without runs, or without a tag (null). */
export interface Elsewhere extends ArrivalsOfTag {
  readonly tag: string | null
}

export interface Sites {
  /** Every tag that has runs and may be seen. */
  readonly sites: readonly SiteState[]
  readonly elsewhere: readonly Elsewhere[]
}

/** Copies that are not complete. */
export interface CopiesInState {
  readonly kind: CopyKind
  readonly state: CopyState
  readonly priority: 'live' | 'backlog'
  readonly count: number
  readonly sizeBytes: number
  /** When the oldest of them was requested. */
  readonly oldest: Date
  /** How many of them are in progress after a failed attempt. */
  readonly failing: number
  /** Failed, and not tried again by itself: someone must act. */
  readonly givenUp: boolean
  /** The error of one of those, or of one that failed; null when there are none. */
  readonly lastError: string | null
}

/** Longest part of an error; the page of the run has the full text. */
const MOST_CHARACTERS = 300

/** A strip of runs, as many as one line has. */
const LATEST_RUNS = 12

const NO_RUNS: RecentRuns = { runs: 0, withProblem: 0, sizeBytes: 0, atLeast: false }

export interface SiteTimes {
  /** Runs catalogued, and refused files of runs that are catalogued, count from then on. */
  readonly since: Date
  /** What was catalogued before should have a copy on tape. */
  readonly onTapeBefore: Date
  readonly now: Date
}

export async function siteStates(
  database: Database,
  tags: VisibleTags,
  { since, onTapeBefore, now }: SiteTimes,
): Promise<Sites> {
  const own = await tagsWithRuns(database, tags)
  const [last, latest, arrived, awaited, recent, arrivals, copies, untaped] = await Promise.all([
    lastRuns(database, own, now),
    latestRuns(database, own, now, LATEST_RUNS),
    siteArrivals(database, own, now),
    awaitedRuns(database, own, now),
    recentRuns(database, own, since),
    openArrivals(database, since),
    openCopies(database, tags),
    untapedRuns(database, own, onTapeBefore),
  ])
  const sites = last.map((of): SiteState => {
    const { tag } = of.run
    return {
      tag,
      last: of,
      latest: latest.get(tag) ?? [],
      arrived: arrived.get(tag) ?? NEVER_ARRIVED,
      awaited: awaited.get(tag) ?? [],
      recent: recent.get(tag) ?? NO_RUNS,
      ...(arrivals.byTag.get(tag) ?? arrivals.others),
      copies: copies.filter((row) => row.tag === tag),
      untaped: untaped.get(tag) ?? null,
    }
  })
  const isShown = new Set<string | null>(sites.map(({ tag }) => tag))
  // What has no tag is visible only to callers who may see all tags.
  const maySee = (tag: string | null) => tags === '*' || (tag !== null && tags.includes(tag))
  const elsewhere = [...arrivals.byTag].flatMap(([tag, of]) =>
    isShown.has(tag) || !maySee(tag) ? [] : [{ tag, ...of }],
  )
  return { sites, elsewhere }
}

/** The tags that have runs and may be seen. */
export async function tagsWithRuns(database: Database, tags: VisibleTags): Promise<readonly string[]> {
  const rows = await database
    .selectFrom('runs')
    .select('tag')
    .distinct()
    .where(inTags(tags))
    .orderBy('tag')
    .execute()
  return rows.map((row) => row.tag)
}

/** Copies that are in progress, failed, missing or suspicious; by tag, place, state and whether they were given up. */
export async function openCopies(
  database: Database,
  tags: VisibleTags,
): Promise<readonly (CopiesInState & { readonly tag: string })[]> {
  const rows = await database
    .selectFrom((from) =>
      copiesInProgress(from).unionAll(copiesOtherwise(from)).unionAll(recallsInProgress(from)).as('open'),
    )
    .select([
      'tag',
      'kind',
      'state',
      'priority',
      isGivenUp.as('givenUp'),
      sql<number>`COUNT(*)`.as('count'),
      sql<number>`SUM(size_bytes)`.as('sizeBytes'),
      sql<Date>`MIN(requested_at)`.as('oldest'),
      sql<number>`SUM(${isFailing})`.as('failing'),
      sql<
        string | null
      >`MAX(IF(${isFailing} OR state = 'failed', LEFT(last_error, ${sql.lit(MOST_CHARACTERS)}), NULL))`.as(
        'lastError',
      ),
    ])
    .where(inTags(tags))
    .groupBy(['tag', 'kind', 'state', 'priority', 'givenUp'])
    .orderBy('tag')
    .orderBy('kind')
    .orderBy('state')
    .orderBy('priority')
    .orderBy('givenUp')
    .execute()
  return rows.map((row) => ({
    ...row,
    count: Number(row.count),
    sizeBytes: Number(row.sizeBytes),
    failing: Number(row.failing),
    givenUp: Boolean(Number(row.givenUp)),
  }))
}

const COLUMNS = [
  'tag',
  'kind',
  'state',
  'priority',
  'sizeBytes',
  'requestedAt',
  'attempts',
  'nextAttemptAt',
  'lastError',
] as const

type OpenCopy = Pick<ShownCopy, (typeof COLUMNS)[number]>

/** Starts from the tasks, of which few are open, instead of the copies, of which there may be a million. */
const copiesInProgress = (from: ExpressionBuilder<Schema, never>) =>
  from
    .selectFrom('tasks')
    .innerJoin('copies', 'copies.id', 'tasks.subjectId')
    .select(COLUMNS.map((column) => `copies.${column}` as const))
    .where('tasks.kind', '=', TAPE_COPY)
    .where('tasks.state', '!=', 'done')
    .where('copies.state', 'in', [...IN_PROGRESS, 'failed'])
    .$castTo<OpenCopy>()

const copiesOtherwise = (from: ExpressionBuilder<Schema, never>) =>
  from
    .selectFrom('replicas')
    .select(COLUMNS)
    .where('kind', 'in', ['tape', 'cloud'])
    .where('state', 'in', WRONG)
    .$castTo<OpenCopy>()

const recallsInProgress = (from: ExpressionBuilder<Schema, never>) =>
  from
    .selectFrom('tasks')
    .innerJoin('shownRecalls', 'shownRecalls.id', 'tasks.subjectId')
    .select(COLUMNS.map((column) => `shownRecalls.${column}` as const))
    .where('tasks.kind', '=', RECALL)
    .where('tasks.state', '!=', 'done')
    .where('shownRecalls.state', 'in', [...IN_PROGRESS, 'failed'])
    .$castTo<OpenCopy>()

const isFailing = sql<boolean>`(state IN (${sql.join(IN_PROGRESS)}) AND attempts > (kind = 'tape' AND state = 'copying') AND last_error IS NOT NULL)`

const isGivenUp = sql<boolean>`(state = 'failed' AND next_attempt_at IS NULL)`

/**
 * `isFailing` for one copy: in progress after a failed attempt. A copy that waits for another one of the same
 * object has an error but no attempt.
 */
export const isFailingCopy = ({
  kind,
  state,
  attempts,
  lastError: error,
}: Pick<ShownCopy, 'kind' | 'state' | 'attempts' | 'lastError'>) =>
  // A copy to tape counts the attempt in progress.
  IN_PROGRESS.includes(state) && attempts > Number(kind === 'tape' && state === 'copying') && error !== null

/** For queries on one table with a column `tag`. */
const inTags = (tags: VisibleTags) =>
  tags === '*' ? sql<boolean>`TRUE` : sql<boolean>`tag IN (${tags.length === 0 ? sql`NULL` : sql.join(tags)})`

/** The last run of each tag, and what was catalogued recently: a few index reads, for any number of runs. */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { Run } from '../database/schema.ts'

export interface LastRun {
  readonly run: Run
  readonly at: Date
  /**
   * Whether `at` is the begin of the run; otherwise it is when the run was catalogued, since its begin is
   * unknown or impossible.
   */
  readonly isBegin: boolean
}

/**
 * A begin further in the future is due to a wrong clock and must not make all later runs older than this one.
 */
const CLOCK_TOLERANCE_MS = 3_600_000

/**
 * The run of each tag that began last, regardless of its number: numbers are mistyped and counters restart. A
 * run without a known begin counts by when it was catalogued. In the order of the tags.
 */
export async function lastRuns(
  database: Database,
  tags: readonly string[],
  now: Date,
): Promise<readonly LastRun[]> {
  if (tags.length === 0) return []
  const ahead = new Date(now.getTime() + CLOCK_TOLERANCE_MS)
  const { rows } = await sql<{ id: number }>`${sql.join(
    tags.flatMap((tag) => candidates(tag, ahead)),
    sql` UNION ALL `,
  )}`.execute(database)
  if (rows.length === 0) return []
  const ids = rows.map(({ id }) => id)
  const runs = await database.selectFrom('runs').selectAll().where('id', 'in', ids).orderBy('tag').execute()
  return [...Map.groupBy(runs, (run) => run.tag).values()].flatMap((own) => {
    const [last] = own.map((run) => dated(run, ahead)).toSorted((a, b) => b.at.getTime() - a.at.getTime())
    return last === undefined ? [] : [last]
  })
}

/**
 * The last run with a begin, the last without one, and the last with an impossible one. Each tag is named in
 * the query: if the name came from another table, the database would read all runs of the tag.
 */
function candidates(tag: string, ahead: Date) {
  const ofTag = sql`SELECT id FROM runs FORCE INDEX (by_tag_start) WHERE tag = ${tag} AND is_current = 1`
  return [
    sql`(${ofTag} AND started_at <= ${ahead} ORDER BY started_at DESC, id DESC LIMIT 1)`,
    sql`(${ofTag} AND started_at IS NULL ORDER BY catalogued_at DESC, id DESC LIMIT 1)`,
    sql`(${ofTag} AND started_at > ${ahead} ORDER BY catalogued_at DESC, id DESC LIMIT 1)`,
  ]
}

function dated(run: Run, ahead: Date): LastRun {
  const begin = run.startedAt
  return begin === null || begin > ahead
    ? { run, at: run.cataloguedAt, isBegin: false }
    : { run, at: begin, isBegin: true }
}

/** The runs of each tag that began last, newest first; those without a possible begin are left out. */
export async function latestRuns(
  database: Database,
  tags: readonly string[],
  now: Date,
  limit: number,
): Promise<ReadonlyMap<string, readonly Run[]>> {
  if (tags.length === 0) return new Map()
  const ahead = new Date(now.getTime() + CLOCK_TOLERANCE_MS)
  const ofTag = (
    tag: string,
  ) => sql`(SELECT id FROM runs FORCE INDEX (by_tag_start) WHERE tag = ${tag} AND is_current = 1
    AND started_at <= ${ahead} ORDER BY started_at DESC, id DESC LIMIT ${sql.lit(limit)})`
  const { rows } = await sql<{ id: number }>`${sql.join(tags.map(ofTag), sql` UNION ALL `)}`.execute(database)
  if (rows.length === 0) return new Map()
  const runs = await database
    .selectFrom('runs')
    .selectAll()
    .where(
      'id',
      'in',
      rows.map(({ id }) => id),
    )
    .orderBy('startedAt', 'desc')
    .orderBy('id', 'desc')
    .execute()
  return Map.groupBy(runs, ({ tag }) => tag)
}

export interface RecentRuns {
  readonly runs: number
  /** Runs with open problems, without history. */
  readonly withProblem: number
  readonly sizeBytes: number
  /** True when there are more than were counted; the newest ones are counted. */
  readonly atLeast: boolean
}

/**
 * A normal day has some hundred runs; a day on which an archive is read in has more than a page should wait
 * for.
 */
const MOST_RUNS = 20_000

/**
 * Runs catalogued since then, whenever they were taken: includes late uploads and runs with a wrong or
 * missing begin.
 */
export async function recentRuns(
  database: Database,
  tags: readonly string[],
  since: Date,
): Promise<ReadonlyMap<string, RecentRuns>> {
  if (tags.length === 0) return new Map()
  const ofTag = (
    tag: string,
  ) => sql`(SELECT ${tag} AS tag, COUNT(*) AS runs, COALESCE(SUM(has_problem = 1 AND is_history = 0), 0) AS withProblem,
      COALESCE(SUM(size_bytes), 0) AS sizeBytes
    FROM (SELECT has_problem, is_history, size_bytes FROM runs FORCE INDEX (by_tag_catalogued)
      WHERE tag = ${tag} AND is_current = 1 AND catalogued_at >= ${since} ORDER BY catalogued_at DESC LIMIT ${sql.lit(MOST_RUNS)}) AS recent)`
  const query = sql<{
    tag: string
    runs: number
    withProblem: number
    sizeBytes: number
  }>`${sql.join(tags.map(ofTag), sql` UNION ALL `)}`
  const { rows } = await query.execute(database)
  return new Map(
    rows.map(({ tag, runs, withProblem, sizeBytes }) => [
      tag,
      {
        runs: Number(runs),
        withProblem: Number(withProblem),
        sizeBytes: Number(sizeBytes),
        atLeast: Number(runs) === MOST_RUNS,
      },
    ]),
  )
}

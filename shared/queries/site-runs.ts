/**
 * The last run of each tag, and what was catalogued lately: by a few looks along indexes, however many runs
 * there are.
 */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { Run } from '../database/schema.ts'

export interface LastRun {
  readonly run: Run
  readonly at: Date
  /**
   * Whether the run began then; otherwise that is when it was catalogued, for its begin is not known or
   * cannot be.
   */
  readonly isBegin: boolean
}

/**
 * A begin that lies further ahead is of a wrong clock: it must not make all later runs older than this one.
 */
const CLOCKS_DIFFER_MS = 3_600_000

/**
 * The run of each tag that began last, whatever its number: numbers are mistyped and counters begin anew. One
 * whose begin nobody knows counts by when it was catalogued. In the order of the tags.
 */
export async function lastRuns(
  database: Database,
  tags: readonly string[],
  now: Date,
): Promise<readonly LastRun[]> {
  if (tags.length === 0) return []
  const ahead = new Date(now.getTime() + CLOCKS_DIFFER_MS)
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
 * The last one that has a begin, that has none, and that has an impossible one. Each tag is asked for by its
 * name: where the name comes from another table the database reads all runs of the tag.
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

export interface RecentRuns {
  readonly runs: number
  /** Without those that await their first file. */
  readonly incomplete: number
  readonly sizeBytes: number
  /** True when there are more than were counted: the latest ones are. */
  readonly atLeast: boolean
}

/**
 * A day of the experiment has some hundred; a day on which an archive is read in has more than anybody wants
 * to wait for.
 */
const MOST_RUNS = 20_000

/**
 * Runs catalogued since then, whenever they were taken: what was uploaded late, or has a wrong clock or none,
 * counts too.
 */
export async function recentRuns(
  database: Database,
  tags: readonly string[],
  since: Date,
): Promise<ReadonlyMap<string, RecentRuns>> {
  if (tags.length === 0) return new Map()
  const ofTag = (
    tag: string,
  ) => sql`(SELECT ${tag} AS tag, COUNT(*) AS runs, COALESCE(SUM(complete = 0 AND first_file_at IS NOT NULL), 0) AS incomplete,
      COALESCE(SUM(size_bytes), 0) AS sizeBytes
    FROM (SELECT complete, first_file_at, size_bytes FROM runs FORCE INDEX (by_tag_catalogued)
      WHERE tag = ${tag} AND is_current = 1 AND catalogued_at >= ${since} ORDER BY catalogued_at DESC LIMIT ${sql.lit(MOST_RUNS)}) AS recent)`
  const query = sql<{
    tag: string
    runs: number
    incomplete: number
    sizeBytes: number
  }>`${sql.join(tags.map(ofTag), sql` UNION ALL `)}`
  const { rows } = await query.execute(database)
  return new Map(
    rows.map(({ tag, runs, incomplete, sizeBytes }) => [
      tag,
      {
        runs: Number(runs),
        incomplete: Number(incomplete),
        sizeBytes: Number(sizeBytes),
        atLeast: Number(runs) === MOST_RUNS,
      },
    ]),
  )
}

/** Runs that the DAQ's logger recorded and that have ended, of which no file has arrived. */
import { sql } from 'kysely'
import { OTHER_TAGS } from '../catalogue/take-over.ts'
import type { Database } from '../database/connect.ts'

/** Older ones were never meant to have a file here, or have been reported every day (`file-awaited`). */
const DAY_MS = 86_400_000
const REPORTED_MS = 7 * DAY_MS
/** More than any week has. */
const MOST_RUNS = 5000

/**
 * When each run of the last week without a file ended, by tag, the earliest first. A run whose end the logger
 * did not record has ended when the next one began. Without runs that began before the take-over time of
 * their tag, and without those of unknown begin.
 */
export async function awaitedRuns(
  database: Database,
  tags: readonly string[],
  now: Date,
): Promise<ReadonlyMap<string, readonly Date[]>> {
  if (tags.length === 0) return new Map()
  const earliest = new Date(now.getTime() - REPORTED_MS)
  const takeOver = (tag: string) => sql`COALESCE((SELECT since FROM take_overs WHERE tag = ${tag}),
    (SELECT since FROM take_overs WHERE tag = ${OTHER_TAGS}), ${earliest})`
  const ofTag = (tag: string) => sql`(SELECT ${tag} AS tag, ended_at FROM (
      SELECT first_file_at, COALESCE(stopped_at, LEAD(started_at) OVER (ORDER BY started_at, id)) AS ended_at
      FROM runs FORCE INDEX (by_tag_start) WHERE tag = ${tag} AND is_current = 1
        AND started_at BETWEEN GREATEST(${earliest}, ${takeOver(tag)}) AND ${now}
      ORDER BY started_at DESC LIMIT ${sql.lit(MOST_RUNS)}) AS latest
    WHERE first_file_at IS NULL AND ended_at IS NOT NULL)`
  const { rows } = await sql<{ tag: string; endedAt: Date }>`${sql.join(tags.map(ofTag), sql` UNION ALL `)}
    ORDER BY ended_at`.execute(database)
  return new Map(
    [...Map.groupBy(rows, ({ tag }) => tag)].map(([tag, own]) => [tag, own.map(({ endedAt }) => endedAt)]),
  )
}

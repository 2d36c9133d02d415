/** Runs of which a file has no copy on tape, not even a requested one: found by what they lack. */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'

export interface UntapedRuns {
  readonly runs: number
  /** The run that arrived first. */
  readonly first: { readonly runNumber: number; readonly arrivedAt: Date }
  /** True when there are more than were counted. */
  readonly atLeast: boolean
}

const MOST_RUNS = 5000

/**
 * By tag; tags without such runs are left out. Counts runs with a file that was catalogued before that time;
 * not history, of which no copy is requested.
 */
export async function untapedRuns(
  database: Database,
  tags: readonly string[],
  before: Date,
): Promise<ReadonlyMap<string, UntapedRuns>> {
  if (tags.length === 0) return new Map()
  const ofTag = (
    tag: string,
  ) => sql`(SELECT ${tag} AS tag, run_number AS runNumber, first_file_at AS arrivedAt,
      COUNT(*) OVER () AS runs
    FROM (SELECT run_number, first_file_at FROM runs FORCE INDEX (by_tag_untaped)
      WHERE tag = ${tag} AND is_current = 1 AND tape = 'none' AND is_history = 0 AND first_file_at < ${before}
        AND EXISTS (SELECT 1 FROM run_files f WHERE f.run_id = runs.id AND f.is_live = 1 AND f.counts = 1
          AND f.is_history = 0 AND f.catalogued_at < ${before}
          AND NOT EXISTS (SELECT 1 FROM replicas r WHERE r.run_id = f.run_id AND r.kind = 'tape'
            AND r.bucket = f.bucket AND r.object_key = f.object_key AND r.sha256 = f.sha256))
      ORDER BY first_file_at LIMIT ${sql.lit(MOST_RUNS)}) AS untaped
    ORDER BY first_file_at LIMIT 1)`
  const { rows } = await sql<{ tag: string; runNumber: number; arrivedAt: Date; runs: number }>`${sql.join(
    tags.map(ofTag),
    sql` UNION ALL `,
  )}`.execute(database)
  return new Map(
    rows.map(({ tag, runs, ...first }) => [
      tag,
      { runs: Number(runs), first, atLeast: Number(runs) === MOST_RUNS },
    ]),
  )
}

/**
 * Arrivals that are not catalogued, waiting or refused, by the tag in their key. Without history, which waits
 * for days and is summarized when it was read.
 */
import { type RawBuilder, sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import { isTag } from '../run.ts'

export interface Arriving {
  /** Also of files that failed and are tried again, however long ago they arrived. */
  readonly count: number
  /** The time since which the oldest of them has been waiting. */
  readonly oldest: Date | null
  /** True when there are more arrivals of all tags, waiting or refused, than were counted. */
  readonly atLeast: boolean
}

export interface ArrivalsOfTag {
  readonly arriving: Arriving
  /**
   * Objects that could not be catalogued and are not tried again: of runs that are not catalogued whatever
   * their age, of others those of the last day.
   */
  readonly refused: number
}

/** Of all tags together, oldest first for those that wait and newest first for those refused. */
const MOST_ARRIVALS = 50_000

export interface OpenArrivals {
  /** Under `null` those whose key has no tag. */
  readonly byTag: ReadonlyMap<string | null, ArrivalsOfTag>
  /** Of every other tag. */
  readonly others: ArrivalsOfTag
}

/** @param since refused files of runs that are catalogued count from then on. */
export async function openArrivals(database: Database, since: Date): Promise<OpenArrivals> {
  // Each state separately: several together cannot be read in the order of the index.
  const groups = await Promise.all([
    ...WAITING.map((where) => groupsOf(database, where, 'ASC')),
    ...(['invalid', 'failed'] as const).map((state) =>
      groupsOf(database, sql`state = ${state} AND ${isRefused(since)}`, 'DESC'),
    ),
  ])
  const sum = (rows: readonly Group[]) => rows.reduce((total, row) => total + row.files, 0)
  const atLeast = groups.some((rows) => sum(rows) === MOST_ARRIVALS)
  const waiting = Map.groupBy(groups.slice(0, WAITING.length).flat(), tagOf)
  const refused = Map.groupBy(groups.slice(WAITING.length).flat(), tagOf)
  const of = (tag: string | null): ArrivalsOfTag => {
    const own = waiting.get(tag) ?? []
    const oldest = own.length === 0 ? null : new Date(Math.min(...own.map((row) => row.since.getTime())))
    return { arriving: { count: sum(own), oldest, atLeast }, refused: sum(refused.get(tag) ?? []) }
  }
  const tags = new Set([...waiting.keys(), ...refused.keys()])
  return {
    byTag: new Map([...tags].map((tag) => [tag, of(tag)])),
    others: { arriving: { count: 0, oldest: null, atLeast }, refused: 0 },
  }
}

const WAITING = [
  sql`state = 'received'`,
  sql`state = 'processing'`,
  sql`state = 'failed' AND next_attempt_at IS NOT NULL`,
]

/**
 * Refused lately, or of a run that is not catalogued. An object that is missing now (outcome gone) has nothing
 * to be catalogued any more.
 */
const isRefused = (
  since: Date,
) => sql`next_attempt_at IS NULL AND (received_at >= ${since} OR finished_at >= ${since}
  OR (outcome IS NULL
    AND NOT EXISTS (SELECT 1 FROM run_files f
      WHERE f.bucket = arrivals.bucket AND f.object_key = arrivals.object_key AND f.is_live = 1)
    AND (state = 'failed' OR (named_tag IS NOT NULL AND NOT EXISTS (SELECT 1 FROM runs r
      WHERE r.tag = named_tag AND r.run_number = named_run AND r.is_current = 1 AND r.first_file_at IS NOT NULL)))))`

/** Arrivals of a folder of the store whose names are, or are not, those of runs. */
interface Group {
  readonly folder: string
  readonly isRun: boolean
  readonly files: number
  /** The earliest time since which one has waited. */
  readonly since: Date
}

/** Counted in the database by folder: many of one tag hide none of another. */
async function groupsOf(
  database: Database,
  where: RawBuilder<unknown>,
  order: 'ASC' | 'DESC',
): Promise<readonly Group[]> {
  const name = sql`SUBSTRING_INDEX(object_key, '/', -1)`
  const { rows } = await sql<Group>`SELECT folder, isRun, COUNT(*) AS files, MIN(since) AS since FROM (
      SELECT LEFT(object_key, CHAR_LENGTH(object_key) - 1 - CHAR_LENGTH(${name})) AS folder,
        ${name} REGEXP '^run[0-9]+((sub|_)[0-9]+)?[.]mid([.](gz|lz4|bz2))?$' AS isRun, ${WAITS_SINCE} AS since
      FROM arrivals FORCE INDEX (by_history) WHERE is_history = 0 AND ${where}
      ORDER BY received_at ${sql.raw(order)} LIMIT ${sql.lit(MOST_ARRIVALS)}) AS counted
    GROUP BY folder, isRun`.execute(database)
  return rows.map((row) => ({ ...row, isRun: Boolean(Number(row.isRun)), files: Number(row.files) }))
}

/** As in the key of a run, or null. */
const tagOf = ({ folder, isRun }: Group): string | null => (isRun && isTag(folder) ? folder : null)

/**
 * An arrival that is read again after it was done was received long ago, and has been waiting since it was
 * announced again: it has a reason without an attempt, or is being read. One that fails repeatedly is
 * announced repeatedly, and has been waiting since the first time.
 */
const WAITS_SINCE = sql`IF(state = 'processing' OR (state = 'received' AND attempts = 0 AND reason IS NOT NULL),
  announced_at, received_at)`

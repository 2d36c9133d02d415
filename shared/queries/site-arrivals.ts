/** When runs arrived lately, by tag: from a few index reads, for any number of runs. Without history. */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'

/** A run arrives when its first file is catalogued. */
export interface SiteArrivals {
  /** Null when none of the latest runs has a file that arrived. */
  readonly lastAt: Date | null
  /** The median time between the latest arrivals, milliseconds; null when there are fewer than three. */
  readonly usualGapMs: number | null
  /** Runs that arrived in each of the last hours before now, the oldest hour first. */
  readonly perHour: readonly number[]
}

export const ARRIVAL_HOURS = 24

/** Among so many runs that were catalogued last: more than the busiest day has. */
const SEARCHED_RUNS = 2000
/** From these the usual gap is taken. */
const GAP_RUNS = 20

/** Without an arrival. */
export const NEVER_ARRIVED: SiteArrivals = {
  lastAt: null,
  usualGapMs: null,
  perHour: Array<number>(ARRIVAL_HOURS).fill(0),
}

export async function siteArrivals(
  database: Database,
  tags: readonly string[],
  now: Date,
): Promise<ReadonlyMap<string, SiteArrivals>> {
  if (tags.length === 0) return new Map()
  const arrived = (tag: string) => sql`(SELECT first_file_at AS at
    FROM (SELECT first_file_at, is_history FROM runs FORCE INDEX (by_tag_catalogued)
      WHERE tag = ${tag} AND is_current = 1 ORDER BY catalogued_at DESC LIMIT ${sql.lit(SEARCHED_RUNS)}) AS latest
    WHERE first_file_at IS NOT NULL AND is_history = 0)`
  const all = (ofTag: (tag: string) => ReturnType<typeof sql>) => sql.join(tags.map(ofTag), sql` UNION ALL `)
  const hour = sql`FLOOR(TIMESTAMPDIFF(SECOND, at, ${now}) / 3600)`
  const [hours, latest] = await Promise.all([
    sql<{ tag: string; hour: number; runs: number }>`${all(
      (tag) => sql`(SELECT ${tag} AS tag, ${hour} AS hour, COUNT(*) AS runs FROM ${arrived(tag)} AS arrived
        WHERE at > ${new Date(now.getTime() - ARRIVAL_HOURS * HOUR_MS)} GROUP BY 2)`,
    )}`.execute(database),
    sql<{ tag: string; at: Date }>`${all(
      (tag) => sql`(SELECT ${tag} AS tag, at FROM ${arrived(tag)} AS arrived ORDER BY at DESC
        LIMIT ${sql.lit(GAP_RUNS)})`,
    )}`.execute(database),
  ])
  return new Map(
    tags.map((tag) => {
      const times = latest.rows.filter((row) => row.tag === tag).map(({ at }) => at)
      const own = hours.rows.filter((row) => row.tag === tag)
      // An arrival a moment after `now`, by another clock, belongs to the last hour.
      const inHour = (age: number) =>
        own
          .filter((row) => Math.max(0, Number(row.hour)) === age)
          .reduce((sum, row) => sum + Number(row.runs), 0)
      const perHour = Array.from({ length: ARRIVAL_HOURS }, (_, index) => inHour(ARRIVAL_HOURS - 1 - index))
      return [tag, { lastAt: times[0] ?? null, usualGapMs: medianGap(times), perHour }]
    }),
  )
}

const HOUR_MS = 3_600_000

/** @param times newest first. */
function medianGap(times: readonly Date[]): number | null {
  if (times.length < 3) return null
  const gaps = times.slice(1).map((at, index) => (times[index]?.getTime() ?? 0) - at.getTime())
  return gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? null
}

/**
 * Whether the catalogue knows a tag. One that it does not know may be mistyped, and an empty answer would be taken
 * for a statement about the site that was meant.
 */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import { isSimilarTag } from '../run.ts'
import { bucketsOfLedger } from './runs.ts'
import { tagsWithRuns } from './site-state.ts'

/**
 * A sentence about the first tag of which no file ever arrived: `the catalogue has no run of the tag lngs yet, but of
 * LNGS`. Null if there is none, and in a catalogue without runs, where every tag is new.
 */
export async function unknownTag(database: Database, tags: readonly string[]): Promise<string | null> {
  const known = await tagsWithRuns(database, '*')
  if (known.length === 0) return null
  for (const tag of tags)
    if (!known.includes(tag) && !(await hasArrivals(database, tag))) return noRunYet(tag, known)
  return null
}

export function noRunYet(tag: string, known: readonly string[]): string {
  const similar = known.filter((other) => isSimilarTag(other, tag))
  return `the catalogue has no run of the tag ${tag} yet${similar.length === 0 ? '' : `, but of ${similar.join(', ')}`}`
}

/** Files of the tag that are not catalogued yet, or were refused. */
async function hasArrivals(database: Database, tag: string): Promise<boolean> {
  const buckets = await bucketsOfLedger(database)
  if (buckets.length === 0) return false
  const { rows } =
    await sql`SELECT id FROM arrivals FORCE INDEX (by_object) WHERE bucket IN (${sql.join(buckets)})
    AND object_key >= ${`${tag}/run`} AND object_key < ${`${tag}/ruo`} LIMIT 1`.execute(database)
  return rows.length > 0
}

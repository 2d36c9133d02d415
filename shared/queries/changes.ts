/** What changed lately, for pages that are watched: lines of the runs' histories, by their ids. */
import type { Database } from '../database/connect.ts'
import type { RunId } from '../run.ts'
import type { VisibleTags } from './site-state.ts'

export interface Change extends RunId {
  readonly id: number
  readonly at: Date
  readonly what: string
  readonly detail: string
}

/**
 * Lines are committed not quite in the order of their ids: so many of those before the last one are looked at
 * again.
 */
const LOOKED_AT_AGAIN = 100
const MOST_CHANGES = 500

/** Tells of each change once, in calls one after the other. */
export interface ChangeReader {
  /** The highest id that was told, or passed over because its tag may not be seen. */
  lastId(): number
  next(): Promise<readonly Change[]>
}

/**
 * Reads what comes after the change `afterId`; null: after what is there now. A reader that resumes tells of
 * nothing twice but may leave out a line that was committed late while nobody read: what it says is a reason
 * to look, not a record.
 */
export async function readChanges(
  database: Database,
  tags: VisibleTags,
  afterId: number | null,
): Promise<ChangeReader> {
  const newest = await newestId(database)
  // An id from another catalogue, or one that somebody made up.
  let last = afterId === null || afterId > newest ? newest : afterId
  const told = new Set(await idsBetween(database, last - LOOKED_AT_AGAIN, last))
  return {
    lastId: () => last,
    async next() {
      const rows = await database
        .selectFrom('runHistory as line')
        .innerJoin('runs', 'runs.id', 'line.runId')
        .select(['line.id', 'line.at', 'runs.tag', 'runs.runNumber', 'line.what', 'line.detail'])
        .where('line.id', '>', last - LOOKED_AT_AGAIN)
        .orderBy('line.id')
        .limit(MOST_CHANGES)
        .execute()
      const fresh = rows.filter(({ id }) => !told.has(id))
      for (const { id } of fresh) told.add(id)
      last = Math.max(last, ...fresh.map(({ id }) => id))
      for (const id of told) if (id <= last - LOOKED_AT_AGAIN) told.delete(id)
      return fresh.filter(({ tag }) => tags === '*' || tags.includes(tag))
    },
  }
}

async function newestId(database: Database): Promise<number> {
  const row = await database
    .selectFrom('runHistory')
    .select((select) => select.fn.max('id').as('id'))
    .executeTakeFirst()
  return Number(row?.id ?? 0)
}

async function idsBetween(database: Database, after: number, to: number): Promise<readonly number[]> {
  const rows = await database
    .selectFrom('runHistory')
    .select('id')
    .where('id', '>', after)
    .where('id', '<=', to)
    .execute()
  return rows.map((row) => row.id)
}

/** Recent changes for live pages: lines of the runs' histories, by id. */
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
 * Lines are not committed exactly in the order of their ids: this many before the last one are read again.
 */
const REREAD_LINES = 100
const MOST_CHANGES = 500

/** Reports each change once, in consecutive calls. */
export interface ChangeReader {
  /** The highest id that was reported, or skipped because its tag may not be seen. */
  lastId(): number
  next(): Promise<readonly Change[]>
}

/**
 * Reads the changes after `afterId`; null: after the current ones. A reader that resumes reports nothing
 * twice but may omit a line that was committed late between two readers: a change is a reason to reload, not
 * a record.
 */
export async function readChanges(
  database: Database,
  tags: VisibleTags,
  afterId: number | null,
): Promise<ChangeReader> {
  const newest = await newestId(database)
  // An id of another catalogue, or an invented one.
  let last = afterId === null || afterId > newest ? newest : afterId
  const reported = new Set(await idsBetween(database, last - REREAD_LINES, last))
  return {
    lastId: () => last,
    async next() {
      const rows = await database
        .selectFrom('runHistory as line')
        .innerJoin('runs', 'runs.id', 'line.runId')
        .select(['line.id', 'line.at', 'runs.tag', 'runs.runNumber', 'line.what', 'line.detail'])
        .where('line.id', '>', last - REREAD_LINES)
        .orderBy('line.id')
        .limit(MOST_CHANGES)
        .execute()
      const fresh = rows.filter(({ id }) => !reported.has(id))
      for (const { id } of fresh) reported.add(id)
      last = Math.max(last, ...fresh.map(({ id }) => id))
      for (const id of reported) if (id <= last - REREAD_LINES) reported.delete(id)
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

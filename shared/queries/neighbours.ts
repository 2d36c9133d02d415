/** The runs around a run number among the current runs of a tag. */
import type { Database } from '../database/connect.ts'
import type { RunId } from '../run.ts'
import { lastRuns } from './site-runs.ts'

export interface Neighbours {
  /** The previous and the next number. */
  readonly before: number | null
  readonly after: number | null
  /** The run of the tag that began last. */
  readonly latest: number | null
}

export async function neighboursOf(
  database: Database,
  { tag, runNumber }: RunId,
  now: Date,
): Promise<Neighbours> {
  const current = database.selectFrom('runs').where('tag', '=', tag).where('isCurrent', '=', true)
  const [before, after, [last]] = await Promise.all([
    current
      .select((select) => select.fn.max('runNumber').as('number'))
      .where('runNumber', '<', runNumber)
      .executeTakeFirst(),
    current
      .select((select) => select.fn.min('runNumber').as('number'))
      .where('runNumber', '>', runNumber)
      .executeTakeFirst(),
    lastRuns(database, [tag], now),
  ])
  return {
    before: before?.number ?? null,
    after: after?.number ?? null,
    latest: last?.run.runNumber ?? null,
  }
}

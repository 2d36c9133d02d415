/** The previous and the next run number among the current runs of a tag. */
import type { Database } from '../database/connect.ts'
import type { RunId } from '../run.ts'

export async function neighboursOf(
  database: Database,
  { tag, runNumber }: RunId,
): Promise<{ readonly before: number | null; readonly after: number | null }> {
  const current = database.selectFrom('runs').where('tag', '=', tag).where('isCurrent', '=', true)
  const [before, after] = await Promise.all([
    current
      .select((select) => select.fn.max('runNumber').as('number'))
      .where('runNumber', '<', runNumber)
      .executeTakeFirst(),
    current
      .select((select) => select.fn.min('runNumber').as('number'))
      .where('runNumber', '>', runNumber)
      .executeTakeFirst(),
  ])
  return { before: before?.number ?? null, after: after?.number ?? null }
}

/** A refused object that a person deleted from the store is no open problem any more. */
import { type Database, inTransaction } from '../database/connect.ts'
import { type ObjectName, parseRunKey } from '../run.ts'
import { DATABASE_NOW } from '../work/lease.ts'
import { resolveRaised } from '../work/raised-alerts.ts'
import { endedByReading } from './run-alerts.ts'
import { lockGenerations } from './run-generations.ts'
import { generationInRunlog, refreshRun } from './runs.ts'

/** @param object an object that is not in the store now. */
export async function endRefusal(database: Database, object: ObjectName, at: Date): Promise<void> {
  await inTransaction(database, async (trx) => {
    const { numUpdatedRows: ended } = await trx
      .updateTable('arrivals')
      .set({ state: 'failed', outcome: 'gone', nextAttemptAt: null, finishedAt: DATABASE_NOW })
      .where('bucket', '=', object.bucket)
      .where('objectKey', '=', object.key)
      .where('state', '=', 'invalid')
      .executeTakeFirst()
    if (ended === 0n) return
    const run = parseRunKey(object.key)
    const summary = `${object.key} is not in the store any more`
    const over =
      run === null
        ? [{ rule: 'misnamed-object', object, summary } as const]
        : endedByReading(object, run, summary)
    await resolveRaised(trx, over, at)
    if (run === null) return
    const { generations } = await lockGenerations(trx, run, at)
    if (generations.length === 0) return
    const generation = generations.find(({ isCurrent }) => isCurrent) ?? generationInRunlog(generations)
    await refreshRun(trx, { tag: run.tag, runNumber: run.runNumber, generation, generations }, { at })
  })
}

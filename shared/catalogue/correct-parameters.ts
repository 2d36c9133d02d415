/** A person corrects parameters of a run: what the DAQ wrote is kept, and comes back without the correction. */
import { type Database, inTransaction } from '../database/connect.ts'
import type { CataloguedRun, Correction, Parameters } from '../database/schema.ts'
import { InvalidInputError } from '../errors.ts'
import { coerceParameter, runlogColumns } from '../extraction/run-parameters.ts'
import { lockUses } from './run-uses.ts'
import { addHistory, refreshRun } from './runs.ts'

/** Which run it is and when it was taken stays the DAQ's word; where its copies are is Cygnet's. */
const CORRECTABLE = runlogColumns.filter(
  ({ name }) => !/^(run_number|start_time|stop_time|storage_)/.test(name),
)

/** So many characters of a value stand in the history: descriptions may be as long as a whole line of it. */
const LONGEST_IN_HISTORY = 200

export interface WantedCorrection {
  /** By Runlog column; null withdraws the correction of before. */
  readonly values: Parameters
  /** Who corrects, by name. */
  readonly by: string
  readonly reason: string
}

/**
 * Corrects parameters, and with them the Runlog and what is searched for; one line of the history states what
 * each was. What is correct already is left alone.
 * @throws InvalidInputError for a name that cannot be corrected, and for a value that its column cannot hold.
 */
export async function correctParameters(
  database: Database,
  run: CataloguedRun,
  wanted: WantedCorrection,
  at: Date,
): Promise<void> {
  const values = Object.entries(wanted.values).map(([name, value]) => [name, checked(name, value)] as const)
  await inTransaction(database, async (trx) => {
    const { uses } = await lockUses(trx, run, at)
    const use = uses.find(({ id }) => id === run.id)
    if (use === undefined) throw new InvalidInputError(`run ${run.runNumber} of ${run.tag} is not there`)
    const corrections = new Map(Object.entries(use.corrections ?? {}))
    const lines: string[] = []
    for (const [name, value] of values) {
      const before = corrections.get(name)
      if ((before?.value ?? null) === value) continue
      lines.push(
        value === null
          ? `${name}: correction withdrawn`
          : `${name}: ${inHistory(value)} instead of ${inHistory(use.parameters[name] ?? 'nothing')}`,
      )
      if (value === null) corrections.delete(name)
      else corrections.set(name, { value, by: wanted.by, at: at.toISOString() })
    }
    if (lines.length === 0) return
    const known = { ...use, corrections: Object.fromEntries(corrections) }
    await trx
      .updateTable('runs')
      .set({ corrections: JSON.stringify(known.corrections) })
      .where('id', '=', use.id)
      .execute()
    const detail = `${lines.join('; ')}; by ${wanted.by}: ${wanted.reason}`
    await addHistory(trx, [{ runId: use.id, what: 'parameters corrected', detail }], at)
    await refreshRun(trx, { ...run, use: known, uses }, { at, newContent: false })
  })
}

function checked(name: string, value: Parameters[string]): Correction['value'] | null {
  const column = CORRECTABLE.find((each) => each.name === name)
  if (column === undefined) throw new InvalidInputError(`${name} is no parameter that can be corrected`)
  const coerced = value === null ? null : coerceParameter(value, column.sqlType)
  if (coerced === null && value !== null)
    throw new InvalidInputError(`${name} cannot be ${JSON.stringify(value)}: it is ${column.sqlType}`)
  if (typeof value === 'string' && coerced !== value)
    throw new InvalidInputError(`${name} is longer than its column holds: it is ${column.sqlType}`)
  return coerced
}

function inHistory(value: number | string): string {
  const characters = [...String(value)]
  if (characters.length <= LONGEST_IN_HISTORY) return String(value)
  return `${characters.slice(0, LONGEST_IN_HISTORY - 1).join('')}…`
}

/**
 * A person corrects parameters of a run. The DAQ's value is kept and counts again when the correction is
 * withdrawn.
 */
import { type Database, inTransaction } from '../database/connect.ts'
import type { CataloguedRun, Correction, Parameters } from '../database/schema.ts'
import { InvalidInputError } from '../errors.ts'
import { coerceParameter, runlogColumns } from '../extraction/run-parameters.ts'
import { shortened } from '../text.ts'
import { lockGenerations } from './run-generations.ts'
import { addHistory, refreshRun } from './runs.ts'

/** Only the DAQ states the identity and the times of a run, and only Cygnet the states of its copies. */
const CORRECTABLE = runlogColumns.filter(
  ({ name }) => !/^(run_number|start_time|stop_time|storage_)/.test(name),
)

/** The history shows at most this much of a value, because a description can be as long as a line of it. */
const MAX_HISTORY_CHARACTERS = 200

export interface CorrectionRequest {
  /** By Runlog column; null withdraws an earlier correction. */
  readonly values: Parameters
  /** The name of the person who corrects. */
  readonly by: string
  readonly reason: string
}

/**
 * Corrects parameters of a run, its Runlog row and the columns used by searches. A line of the history states
 * the former values. Values that are already correct are skipped.
 * @throws InvalidInputError for a name that cannot be corrected, and for a value that its column cannot hold.
 */
export async function correctParameters(
  database: Database,
  run: CataloguedRun,
  request: CorrectionRequest,
  at: Date,
): Promise<void> {
  const values = Object.entries(request.values).map(
    ([name, value]) => [name, validated(name, value)] as const,
  )
  await inTransaction(database, async (trx) => {
    const { generations } = await lockGenerations(trx, run, at)
    const generation = generations.find(({ id }) => id === run.id)
    if (generation === undefined)
      throw new InvalidInputError(`run ${run.runNumber} of ${run.tag} does not exist`)
    const corrections = new Map(Object.entries(generation.corrections ?? {}))
    const lines: string[] = []
    for (const [name, value] of values) {
      const before = corrections.get(name)
      if ((before?.value ?? null) === value) continue
      lines.push(
        value === null
          ? `${name}: correction withdrawn`
          : `${name}: ${inHistory(value)} instead of ${inHistory(generation.parameters[name] ?? 'nothing')}`,
      )
      if (value === null) corrections.delete(name)
      else corrections.set(name, { value, by: request.by, at: at.toISOString() })
    }
    if (lines.length === 0) return
    const known = { ...generation, corrections: Object.fromEntries(corrections) }
    await trx
      .updateTable('runs')
      .set({ corrections: JSON.stringify(known.corrections) })
      .where('id', '=', generation.id)
      .execute()
    const detail = `${lines.join('; ')}; by ${request.by}: ${request.reason}`
    await addHistory(trx, [{ runId: generation.id, what: 'parameters corrected', detail }], at)
    await refreshRun(trx, { ...run, generation: known, generations }, { at })
  })
}

function validated(name: string, value: Parameters[string]): Correction['value'] | null {
  const column = CORRECTABLE.find((each) => each.name === name)
  if (column === undefined) throw new InvalidInputError(`${name} is not a parameter that can be corrected`)
  const coerced = value === null ? null : coerceParameter(value, column.sqlType)
  if (coerced === null && value !== null)
    throw new InvalidInputError(`${name} cannot be ${JSON.stringify(value)}: it is ${column.sqlType}`)
  if (typeof value === 'string' && coerced !== value)
    throw new InvalidInputError(`${name} is longer than its column holds: it is ${column.sqlType}`)
  return coerced
}

const inHistory = (value: number | string): string => shortened(String(value), MAX_HISTORY_CHARACTERS)

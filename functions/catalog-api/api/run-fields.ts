/** The fields of runs in an answer, as JSON and as columns of a table. */

import type { Parameters, Run } from '../../../shared/database/schema.ts'
import { type StorageSummary, storageOf } from '../../../shared/database/storage-summary.ts'
import { type RunView, runView } from '../../../shared/queries/run-view.ts'
import { shownColumns, shownParameters } from '../../../shared/queries/shown-parameters.ts'
import type { Cell } from '../http/table-answer.ts'

const RUN_FIELDS = [
  'tag',
  'runNumber',
  'startedAt',
  'stoppedAt',
  'complete',
  'problem',
  'problems',
  'integrity',
  'eventCount',
  'sizeBytes',
  'fileCount',
  'pedestal',
  'description',
  'firstEventAt',
  'lastEventAt',
  'cataloguedAt',
  'updatedAt',
  'beforeTakeOver',
] as const satisfies readonly (keyof RunView)[]
type RunField = (typeof RUN_FIELDS)[number]

const PARAMETERS: readonly string[] = shownColumns.map((column) => column.name)
const PARAMETER_PREFIX = 'param.'

export interface FieldChoice {
  readonly run: readonly RunField[]
  readonly storage: boolean
  /** Names of single parameters, all, or none. */
  readonly parameters: 'all' | readonly string[]
}

export const ALL_FIELDS: FieldChoice = { run: RUN_FIELDS, storage: true, parameters: 'all' }

/** The choice of `fields=tag,storage,param.GEM1_V`, or the unknown field. */
export function chooseFields(text: string): FieldChoice | { readonly unknown: string } {
  const names = [...new Set(text.split(',').map((name) => name.trim()))].filter((name) => name !== '')
  const run = names.flatMap((name) => RUN_FIELDS.find((field) => field === name) ?? [])
  const single = names.flatMap((name) =>
    name.startsWith(PARAMETER_PREFIX) ? [name.slice(PARAMETER_PREFIX.length)] : [],
  )
  const unknown = names.find(
    (name) =>
      name !== 'storage' &&
      name !== 'parameters' &&
      !RUN_FIELDS.some((field) => field === name) &&
      !(name.startsWith(PARAMETER_PREFIX) && PARAMETERS.includes(name.slice(PARAMETER_PREFIX.length))),
  )
  if (unknown !== undefined || names.length === 0) return { unknown: unknown ?? text }
  return {
    run,
    storage: names.includes('storage'),
    parameters: names.includes('parameters') ? 'all' : single,
  }
}

export interface RunItem extends Partial<RunView> {
  readonly storage?: StorageSummary
  readonly parameters?: Parameters
}

/** The chosen fields of each run. */
export function itemsOf(runs: readonly Run[], choice: FieldChoice): readonly RunItem[] {
  return runs.map((run) => {
    const view = runView(run)
    return {
      ...Object.fromEntries(choice.run.map((field) => [field, view[field]])),
      ...(choice.storage ? { storage: storageOf(run) } : {}),
      ...(choice.parameters === 'all'
        ? { parameters: shownParameters(run.parameters) }
        : choice.parameters.length > 0
          ? {
              parameters: Object.fromEntries(
                choice.parameters.map((name) => [name, run.parameters[name] ?? null]),
              ),
            }
          : {}),
    }
  })
}

/** The columns of a table of runs. */
export function columnsOf(choice: FieldChoice): readonly string[] {
  const parameters = choice.parameters === 'all' ? PARAMETERS : choice.parameters
  return [
    ...choice.run,
    ...(choice.storage ? PLACES : []),
    ...parameters.map((name) => PARAMETER_PREFIX + name),
  ]
}

const PLACES = ['cloud', 'tape', 'local'] as const

const cellOf = (value: Cell | readonly string[] | undefined): Cell =>
  typeof value === 'object' && value !== null ? value.join(' ') : (value ?? null)

/** The cells of a run in these columns. */
export function cellsOf(item: RunItem, choice: FieldChoice): readonly Cell[] {
  const parameters = choice.parameters === 'all' ? PARAMETERS : choice.parameters
  return [
    ...choice.run.map((field) => cellOf(item[field])),
    ...(choice.storage ? PLACES.map((place) => item.storage?.[place] ?? null) : []),
    ...parameters.map((name) => item.parameters?.[name] ?? null),
  ]
}

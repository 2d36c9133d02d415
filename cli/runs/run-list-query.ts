/** The options of `cygnet runs ls`, validated before any request. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { CLOUD_WORDS, TAPE_WORDS } from '../../shared/database/storage-summary.ts'
import type { RunlogColumn } from '../../shared/extraction/run-parameters.ts'
import type {
  ParameterCondition,
  ParameterOperator,
  RunConditions,
} from '../../shared/queries/run-conditions.ts'
import { PROBLEM_WORDS, RUN_ORDERS } from '../../shared/queries/run-conditions.ts'
import type { RunSearch } from '../../shared/queries/search-runs.ts'
import { isStorageStatus, shownColumns } from '../../shared/queries/shown-parameters.ts'
import {
  PAST_TIME,
  parsePastTime,
  parseRange,
  parseTag,
  type RunRange,
  several,
  wholeNumber,
} from '../arguments.ts'

export interface RunListQuery {
  /** Null for all tags that the caller may see. */
  readonly tags: readonly string[] | null
  readonly conditions: RunConditions
  readonly order: RunSearch['order']
  readonly limit: number
  readonly withParameters: boolean
}

export interface RunListFlags {
  readonly tag?: readonly string[]
  readonly range?: RunRange
  readonly since?: Date
  readonly until?: Date
  readonly incomplete?: boolean
  readonly problem?: RunConditions['problem']
  readonly pedestal?: boolean
  readonly cloud?: RunConditions['cloud']
  readonly tape?: RunConditions['tape']
  readonly param?: readonly ParameterCondition[]
  readonly text?: string
  readonly sort?: RunSearch['order']
  readonly limit: number
}

const ORDERS = RUN_ORDERS.flatMap((order) => [order, `-${order}`])

export function addRunListOptions(command: Command): Command {
  const option = (flags: string, about: string) => new Option(flags, about)
  return command
    .addOption(
      option('--tag <tag>', 'only this tag, e.g. LNGS; may be given several times').argParser(
        several(parseTag),
      ),
    )
    .addOption(
      option('--range <from..to>', 'only run numbers in this range, both ends included').argParser(
        parseRange,
      ),
    )
    .addOption(
      option('--since <time>', `started at this time or later: ${PAST_TIME}`).argParser((text) =>
        parsePastTime(text)(new Date()),
      ),
    )
    .addOption(
      option('--until <time>', 'started before this time').argParser((text) =>
        parsePastTime(text)(new Date()),
      ),
    )
    .option('--incomplete', 'only runs that are not complete')
    .addOption(
      option('--problem <kind>', 'only runs with an open problem of this kind, or any').choices(
        PROBLEM_WORDS,
      ),
    )
    .option('--pedestal', 'only pedestal runs')
    .addOption(option('--cloud <word>', 'only runs with this state in the store').choices(CLOUD_WORDS))
    .addOption(option('--tape <word>', 'only runs with this state on tape').choices(TAPE_WORDS))
    .addOption(
      option(
        '--param <condition>',
        "condition on a run parameter, e.g. 'GEM1_V>=440'; may be given several times",
      ).argParser(several(parseParameter)),
    )
    .option('--text <text>', 'part of the description; case is ignored')
    .addOption(
      option(
        '--sort <order>',
        `one of ${ORDERS.join(', ')} (default: -start with --since or --until, else -run)`,
      ).argParser(parseOrder),
    )
    .addOption(
      option('--limit <count>', 'largest number of runs').default(50).argParser(wholeNumber(1, 999_999_999)),
    )
}

export function runListQuery(flags: RunListFlags, withParameters: boolean): RunListQuery {
  const { tag, range, since, until, incomplete, problem, pedestal, text, param, cloud, tape, sort, limit } =
    flags
  return {
    tags: tag ?? null,
    conditions: {
      ...range,
      since,
      until,
      text,
      complete: incomplete === true ? false : undefined,
      problem,
      pedestal: pedestal === true ? true : undefined,
      cloud,
      tape,
      parameters: param,
    },
    order: sort ?? { by: (since ?? until) === undefined ? 'run' : 'start', descending: true },
    limit,
    withParameters,
  }
}

function parseOrder(text: string): RunSearch['order'] {
  const by = RUN_ORDERS.find((order) => text === order || text === `-${order}`)
  if (by === undefined) throw new InvalidArgumentError(`One of ${ORDERS.join(', ')} is expected.`)
  return { by, descending: text.startsWith('-') }
}

const OPERATORS: Readonly<Record<string, ParameterOperator>> = {
  '=': 'eq',
  '==': 'eq',
  '!=': 'ne',
  '<': 'lt',
  '<=': 'lte',
  '>': 'gt',
  '>=': 'gte',
}

/** `GEM1_V>=440`, blanks allowed. The user quotes it: < and > are special to the shell. */
function parseParameter(text: string): ParameterCondition {
  const [, name = '', symbol = '', value = ''] = /^\s*(\w+)\s*([<>=!]=?)\s*(.*?)\s*$/s.exec(text) ?? []
  const operator = OPERATORS[symbol]
  if (operator === undefined)
    throw new InvalidArgumentError(
      "A condition such as 'GEM1_V>=440' is expected, with =, !=, <, <=, > or >=.",
    )
  if (isStorageStatus(name))
    throw new InvalidArgumentError(
      'This parameter holds the state at the start of the run; use --cloud and --tape for the present state.',
    )
  const column = shownColumns.find((each) => each.name.toLowerCase() === name.toLowerCase())
  if (column === undefined)
    throw new InvalidArgumentError(
      `There is no parameter ${name}; \`cygnet runs show\` lists those of a run.`,
    )
  return { column, operator, value: comparedWith(value, column) }
}

/** The value to compare with: a number for numeric columns, else text. */
function comparedWith(text: string, { name, sqlType }: RunlogColumn): number | string {
  if (sqlType === 'TEXT' || sqlType === 'VARCHAR(255)' || sqlType === 'DATETIME') return text
  if (sqlType === 'BOOLEAN' && (text === 'true' || text === 'false')) return Number(text === 'true')
  const isNumber = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text))
  if (!isNumber) throw new InvalidArgumentError(`${name} is compared with a number.`)
  return Number(text)
}

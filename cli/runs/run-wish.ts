/** Which runs a list shall have: the options of `cygnet runs ls`, checked before anything is asked. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { CLOUD_WORDS, TAPE_WORDS } from '../../shared/database/storage-summary.ts'
import type { RunlogColumn } from '../../shared/extraction/run-parameters.ts'
import type {
  ParameterCondition,
  ParameterOperator,
  RunConditions,
} from '../../shared/queries/run-conditions.ts'
import { RUN_ORDERS } from '../../shared/queries/run-conditions.ts'
import type { RunSearch } from '../../shared/queries/search-runs.ts'
import { isStorageStatus, shownColumns } from '../../shared/queries/shown-parameters.ts'
import { parseTimeText } from '../../shared/time/text.ts'
import { parseRange, parseTag, type RunRange, several, wholeNumber } from '../arguments.ts'

export interface RunWish {
  /** Null for all that may be seen. */
  readonly tags: readonly string[] | null
  readonly conditions: RunConditions
  readonly order: RunSearch['order']
  readonly limit: number
  readonly withParameters: boolean
}

export interface WishFlags {
  readonly tag?: readonly string[]
  readonly range?: RunRange
  readonly since?: Date
  readonly until?: Date
  readonly incomplete?: boolean
  readonly pedestal?: boolean
  readonly cloud?: RunConditions['cloud']
  readonly tape?: RunConditions['tape']
  readonly param?: readonly ParameterCondition[]
  readonly text?: string
  readonly sort?: RunSearch['order']
  readonly limit: number
}

const ORDERS = RUN_ORDERS.flatMap((order) => [order, `-${order}`])

export function addWishOptions(command: Command): Command {
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
      option(
        '--since <time>',
        'begun at this time or later, e.g. 2024-05-31 or 2024-05-31T12:00Z (UTC)',
      ).argParser(parseTime),
    )
    .addOption(option('--until <time>', 'begun before this time').argParser(parseTime))
    .option('--incomplete', 'only runs that are not complete')
    .option('--pedestal', 'only pedestal runs')
    .addOption(option('--cloud <word>', 'only runs that are so in the store').choices(CLOUD_WORDS))
    .addOption(option('--tape <word>', 'only runs that are so on tape').choices(TAPE_WORDS))
    .addOption(
      option(
        '--param <condition>',
        "on a run parameter, e.g. 'GEM1_V>=440'; may be given several times",
      ).argParser(several(parseParameter)),
    )
    .option('--text <text>', 'part of the description, in capitals or not')
    .addOption(
      option(
        '--sort <order>',
        `one of ${ORDERS.join(', ')} (default: -start with --since or --until, else -run)`,
      ).argParser(parseOrder),
    )
    .addOption(
      option('--limit <count>', 'at most this many').default(50).argParser(wholeNumber(1, 999_999_999)),
    )
}

export function wishOf(flags: WishFlags, withParameters: boolean): RunWish {
  const { tag, range, since, until, incomplete, pedestal, text, param, cloud, tape, sort, limit } = flags
  return {
    tags: tag ?? null,
    conditions: {
      ...range,
      since,
      until,
      text,
      complete: incomplete === true ? false : undefined,
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

function parseTime(text: string): Date {
  const time = parseTimeText(text)
  if (time === null) throw new InvalidArgumentError('a time is written 2024-05-31T12:00:00Z, or 2024-05-31.')
  return time
}

function parseOrder(text: string): RunSearch['order'] {
  const by = RUN_ORDERS.find((order) => text === order || text === `-${order}`)
  if (by === undefined) throw new InvalidArgumentError(`one of ${ORDERS.join(', ')} is expected.`)
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

/** `GEM1_V>=440`, also with blanks. The shell must not see the < and >. */
function parseParameter(text: string): ParameterCondition {
  const [, name = '', symbol = '', value = ''] = /^\s*(\w+)\s*([<>=!]=?)\s*(.*?)\s*$/s.exec(text) ?? []
  const operator = OPERATORS[symbol]
  if (operator === undefined)
    throw new InvalidArgumentError("a condition is written 'GEM1_V>=440', with =, !=, <, <=, > or >=.")
  if (isStorageStatus(name))
    throw new InvalidArgumentError(
      'the ODB said this when the run began; where it is now is asked by --cloud and --tape.',
    )
  const column = shownColumns.find((each) => each.name.toLowerCase() === name.toLowerCase())
  if (column === undefined)
    throw new InvalidArgumentError(
      `there is no parameter ${name}; \`cygnet runs show\` lists those of a run.`,
    )
  return { column, operator, value: comparedWith(value, column) }
}

/** Numbers are compared as such, all else as text. */
function comparedWith(text: string, { name, sqlType }: RunlogColumn): number | string {
  if (sqlType === 'TEXT' || sqlType === 'VARCHAR(255)' || sqlType === 'DATETIME') return text
  if (sqlType === 'BOOLEAN' && (text === 'true' || text === 'false')) return Number(text === 'true')
  const isNumber = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text))
  if (!isNumber) throw new InvalidArgumentError(`${name} is compared with a number.`)
  return Number(text)
}

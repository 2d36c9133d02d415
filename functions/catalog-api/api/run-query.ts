/**
 * The query of the list of runs: `tag=LNGS&from=12000&param.exposure_sec.gte=0.3&sort=-start`. Shared by the
 * API and the page of runs.
 */
import { z } from '@hono/zod-openapi'
import { CLOUD_WORDS, TAPE_WORDS } from '../../../shared/database/storage-summary.ts'
import type { RunlogColumn } from '../../../shared/extraction/run-parameters.ts'
import {
  PARAMETER_OPERATORS,
  type ParameterCondition,
  PROBLEM_WORDS,
  RUN_ORDERS,
  type RunConditions,
} from '../../../shared/queries/run-conditions.ts'
import type { RunPosition, RunSearch } from '../../../shared/queries/search-runs.ts'
import { isStorageStatus, shownColumns } from '../../../shared/queries/shown-parameters.ts'
import { isTag, LARGEST_RUN_NUMBER } from '../../../shared/run.ts'
import { cutText } from '../../../shared/text.ts'
import { parseTimeText } from '../../../shared/time/text.ts'

export const LONGEST_PAGE = 500
/** A caller who gives a limit gets it; without one, lists are complete. */
const LARGEST_LIMIT = 1_000_000_000
const USUAL_PAGE = 50

const MOST_TAGS = 50
const MOST_PARAMETERS = 10
const LONGEST_TEXT = 200
/** Compared with a margin, which must not exceed the largest number of the database. */
const LARGEST_NUMBER = 1e308

const columns: ReadonlyMap<string, RunlogColumn> = new Map(
  shownColumns.map((column) => [column.name, column]),
)

const tag = z.string().refine(isTag, 'not a tag, such as LNGS')
const integer = (
  least: number,
  most: number,
  about: { readonly description: string; readonly example?: number },
) =>
  z
    .string()
    .regex(/^\d{1,10}$/, 'expected a whole number')
    .transform(Number)
    .refine((value) => value >= least && value <= most, `expected a number from ${least} to ${most}`)
    .openapi({ ...about, type: 'integer', minimum: least, maximum: most })
    .optional()
const yesNo = (description: string) =>
  z
    .enum(['true', 'false', '1', '0'])
    .transform((value) => value === 'true' || value === '1')
    .openapi({ description, type: 'boolean' })
    .optional()
export const timeFilter = (description: string) =>
  z
    .string()
    .transform(timeOf)
    .refine(
      (value) => !Number.isNaN(value.getTime()),
      'expected a time such as 2024-05-31T12:00:00Z or 2024-05-31',
    )
    .openapi({ description, type: 'string', format: 'date-time', example: '2024-05-31T12:00:00Z' })
    .optional()

/** An unescaped plus sign in an address is read as a blank. */
const timeOf = (text: string): Date =>
  parseTimeText(text.replace(/(\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (?=\d\d:\d\d$)/, '$1+')) ?? new Date(Number.NaN)

const known = {
  tag: z
    .union([tag, z.array(tag).max(MOST_TAGS)])
    .transform((value) => [value].flat())
    .openapi({
      description: 'Site or detector; may be repeated',
      type: 'array',
      items: { type: 'string' },
      example: ['LNGS'],
    })
    .optional(),
  from: integer(0, LARGEST_RUN_NUMBER, { description: 'Smallest run number', example: 12000 }),
  to: integer(0, LARGEST_RUN_NUMBER, { description: 'Largest run number', example: 12100 }),
  since: timeFilter('Started at this time or later; in UTC if it has no zone, at midnight if it is a date'),
  until: timeFilter('Started before this time; same format as `since`'),
  complete: yesNo('Whether the file was read to the end of the run'),
  pedestal: yesNo('Whether it is a pedestal run'),
  integrity: z
    .enum(['verified', 'unstated', 'mismatch'])
    .openapi({
      description:
        'verified: all checksums stated by the store or the uploader agree; mismatch: one disagrees',
    })
    .optional(),
  problem: z
    .enum(PROBLEM_WORDS)
    .openapi({ description: 'With an open problem of this kind, or any' })
    .optional(),
  cloud: z.enum(CLOUD_WORDS).openapi({ description: 'State in the store' }).optional(),
  tape: z.enum(TAPE_WORDS).openapi({ description: 'State of the copy on tape' }).optional(),
  text: z
    .string()
    .min(1, 'expected a text')
    .max(LONGEST_TEXT, `expected at most ${LONGEST_TEXT} characters`)
    .openapi({ description: 'Part of the description, case-insensitive', example: 'AmBe' })
    .optional(),
  sort: z
    .enum(RUN_ORDERS.flatMap((order) => [order, `-${order}`] as const))
    .openapi({
      description:
        'The order; with -, the largest or latest first. Default: -start with since or until, else -run',
      example: '-run',
    })
    .optional(),
  cursor: z
    .string()
    .max(LONGEST_TEXT)
    .openapi({ description: 'Where to continue: `next` of the previous page' })
    .optional(),
  limit: integer(1, LARGEST_LIMIT, {
    description: `Maximum number of runs: up to ${LONGEST_PAGE} as JSON (default ${USUAL_PAGE}); as NDJSON and CSV, all by default`,
    example: 100,
  }),
  fields: z
    .string()
    .max(2000)
    .openapi({
      description: 'Only these fields, separated by commas; single parameters as param.GEM1_V',
      example: 'tag,runNumber,param.GEM1_V',
    })
    .optional(),
  format: z
    .enum(['json', 'ndjson', 'csv'])
    .openapi({ description: 'The format of the answer; takes precedence over the Accept header' })
    .optional(),
} as const

const PARAMETER_HELP =
  'Run parameter of the Runlog equal to this value; with param.NAME.ne, .lt, .lte, .gt and .gte for other comparisons. Decimal numbers are compared to seven digits'

/** Documented one by one; validated below together with their operators. */
const documented = Object.fromEntries(
  shownColumns.map(({ name, sqlType }) => [
    `param.${name}`,
    z
      .string()
      .openapi({ description: PARAMETER_HELP, type: isText(sqlType) ? 'string' : 'number' })
      .optional(),
  ]),
)

export const runQuery = z.looseObject({ ...documented, ...known }).superRefine((query, context) => {
  const names = Object.keys(query).filter((name) => !Object.hasOwn(known, name))
  if (names.length > MOST_PARAMETERS)
    context.addIssue({ code: 'custom', message: `at most ${MOST_PARAMETERS} conditions on parameters` })
  for (const name of names) {
    const condition = parameterCondition(name, query[name])
    if (typeof condition === 'string') context.addIssue({ code: 'custom', message: condition, path: [name] })
  }
})
export type RunQuery = z.output<typeof runQuery>

/**
 * The search of a query, without the caller's rights: the tags are the named ones, null where none is named.
 */
export function searchOf(
  query: RunQuery,
): Omit<RunSearch, 'tags' | 'after' | 'limit'> & { readonly tags: readonly string[] | null } {
  const { from, to, since, until, complete, pedestal, integrity, problem, text, cloud, tape, sort } = query
  const parameters = Object.entries(query).flatMap(([name, value]) => {
    const condition = Object.hasOwn(known, name) || value === undefined ? '' : parameterCondition(name, value)
    return typeof condition === 'string' ? [] : [condition]
  })
  const conditions: RunConditions = {
    from,
    to,
    since,
    until,
    complete,
    pedestal,
    integrity,
    problem,
    cloud,
    tape,
    text,
    parameters,
  }
  return {
    tags: query.tag ?? null,
    conditions,
    order: orderOf(sort ?? ((since ?? until) ? '-start' : '-run')),
  }
}

function orderOf(sort: NonNullable<RunQuery['sort']>): RunSearch['order'] {
  const by = RUN_ORDERS.find((order) => sort.endsWith(order)) ?? 'run'
  return { by, descending: sort.startsWith('-') }
}

export const pageLimit = (query: RunQuery): number => query.limit ?? USUAL_PAGE

/** The condition, or its error. */
function parameterCondition(name: string, value: unknown): ParameterCondition | string {
  const [prefix, columnName = '', operatorName = 'eq', ...more] = name.split('.')
  if (prefix !== 'param') return 'unknown filter'
  if (isStorageStatus(columnName))
    return 'this is the state in the ODB at the begin of run; for the current one use cloud=present or tape=on-media'
  const column = columns.get(columnName)
  if (column === undefined) return `unknown parameter ${cutText(columnName, LONGEST_TEXT)}`
  const operator = PARAMETER_OPERATORS.find((each) => each === operatorName)
  if (operator === undefined || more.length > 0)
    return `parameters are compared by ${PARAMETER_OPERATORS.join(', ')}`
  if (typeof value !== 'string' || value.length > LONGEST_TEXT)
    return `expected one value of up to ${LONGEST_TEXT} characters`
  if (isText(column.sqlType)) return { column, operator, value }
  const number = numberOf(value, column.sqlType)
  if (number === null) return 'expected a number'
  if (Math.abs(number) > LARGEST_NUMBER) return `expected a number of at most ${LARGEST_NUMBER}`
  return { column, operator, value: number }
}

function isText(sqlType: RunlogColumn['sqlType']): boolean {
  return sqlType === 'TEXT' || sqlType === 'VARCHAR(255)' || sqlType === 'DATETIME'
}

function numberOf(text: string, sqlType: RunlogColumn['sqlType']): number | null {
  if (sqlType === 'BOOLEAN' && (text === 'true' || text === 'false')) return Number(text === 'true')
  const isNumber = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)
  return isNumber && Number.isFinite(Number(text)) ? Number(text) : null
}

/** Numbers may also be times; the limit is the year 9999, the last that the database can compare. */
const position = z.tuple([z.string(), z.int().min(0).max(253_402_300_799_999).nullable(), z.int().positive()])

/** A position in an order as opaque text. It contains only what its recipient may see. */
export const writeCursor = (sort: string, { value, id }: RunPosition): string =>
  Buffer.from(JSON.stringify([sort, value, id])).toString('base64url')

/** Null when this is not a cursor of this order. */
export function readCursor(sort: string, cursor: string): RunPosition | null {
  try {
    const result = position.safeParse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
    if (!result.success || result.data[0] !== sort) return null
    return { value: result.data[1], id: result.data[2] }
  } catch {
    return null
  }
}

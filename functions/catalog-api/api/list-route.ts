/** A list of the API with the same filters, formats and paging as all others, described by its columns. */
import { createRoute, z } from '@hono/zod-openapi'
import type { Logger } from '../../../shared/log.ts'
import { isTag, LARGEST_RUN_NUMBER } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addRoute, type Rule } from '../http/route.ts'
import {
  type Cell,
  FORMATS,
  type Format,
  formatOf,
  type TableFormat,
  tableAnswer,
} from '../http/table-answer.ts'
import { problems, SECURITY } from './problems.ts'

const LONGEST_PAGE = 500
const USUAL_PAGE = 50
export const LARGEST_LIMIT = 1_000_000_000

const wholeNumber = (least: number, most: number, description: string) =>
  z
    .string()
    .regex(/^\d{1,16}$/, 'expected a whole number')
    .transform(Number)
    .refine((value) => value >= least && value <= most, `expected a number from ${least} to ${most}`)
    .openapi({ description, type: 'integer', minimum: least, maximum: most })
    .optional()

const tag = z.string().refine(isTag, 'not a tag, such as LNGS')

/** Filters that several lists have. */
export const FILTERS = {
  tag: z
    .union([tag, z.array(tag).max(50)])
    .transform((value) => [value].flat())
    .openapi({ description: 'Tag; may be repeated', type: 'array', items: { type: 'string' } })
    .optional(),
  from: wholeNumber(0, LARGEST_RUN_NUMBER, 'Smallest run number'),
  to: wholeNumber(0, LARGEST_RUN_NUMBER, 'Largest run number'),
} as const

/** A filter by some words; may be repeated. */
export const anyOf = <const Words extends readonly [string, ...string[]]>(
  words: Words,
  description: string,
) =>
  z
    .union([z.enum(words), z.array(z.enum(words))])
    .transform((value) => [value].flat() as readonly Words[number][])
    .openapi({
      description: `${description}; may be repeated`,
      type: 'array',
      items: { type: 'string', enum: [...words] },
    })
    .optional()

export const formatFilter = z
  .enum(FORMATS)
  .openapi({ description: 'The format of the answer; takes precedence over the Accept header' })
  .optional()

/** Of lists whose rows have an id, newest first. */
const PAGING = {
  limit: wholeNumber(
    1,
    LARGEST_LIMIT,
    `Maximum number of rows: up to ${LONGEST_PAGE} as JSON (default ${USUAL_PAGE}); as NDJSON and CSV, all by default`,
  ),
  cursor: wholeNumber(1, Number.MAX_SAFE_INTEGER, 'Where to continue: `next` of the previous page'),
} as const

type Value = Cell | Date
export type ListRow = Readonly<Record<string, Value>>

interface ListRoute<Filters extends z.ZodRawShape> {
  readonly path: string
  readonly group: string
  readonly summary: string
  readonly description?: string
  /** Of the file. */
  readonly name: string
  readonly filters: Filters
  /** In the order of the columns of CSV. */
  readonly row: z.ZodObject
  readonly rule: Rule
}

type Query<Filters extends z.ZodRawShape> = z.output<z.ZodObject<Filters>>

const describe = (route: ListRoute<z.ZodRawShape>, query: z.ZodObject, isPaged: boolean) => {
  const answer = z.strictObject({
    rows: z.array(route.row),
    ...(isPaged
      ? {
          next: z.string().nullable().openapi({ description: '`cursor` of the next page; null on the last' }),
        }
      : {}),
  })
  return createRoute({
    method: 'get',
    path: route.path,
    tags: [route.group],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    security: SECURITY,
    request: { query },
    responses: {
      200: {
        description: 'The rows; the columns of CSV are the fields, in this order',
        content: {
          'application/json': { schema: answer },
          'application/x-ndjson': { schema: route.row },
          'text/csv': { schema: z.string() },
        },
      },
      ...problems(404),
    },
  })
}

/** A list that is read in batches, newest first. Its rows have an `id`, by which pages of JSON continue. */
export function addList<Filters extends z.ZodRawShape>(
  api: Api,
  context: { readonly log: Logger },
  route: ListRoute<Filters>,
  read: (
    c: ApiContext,
    query: Query<Filters>,
    after: number | null,
  ) => Promise<AsyncGenerator<readonly (ListRow & { readonly id: number })[]>>,
): void {
  const query = z.strictObject({ ...route.filters, ...PAGING, format: formatFilter })
  addRoute(api, describe(route, query, true), route.rule, async (c) => {
    const wanted = c.req.valid('query') as Query<Filters> & z.output<typeof paged>
    const { limit, cursor: after = null } = wanted
    const answerIn = wanted.format ?? formatOf(c)
    const batches = await read(c, wanted, after)
    if (answerIn !== 'json') return table(context, route, answerIn, some(batches, limit))
    if (limit !== undefined && limit > LONGEST_PAGE)
      throw refusal(400, `limit: a page has at most ${LONGEST_PAGE} rows; NDJSON and CSV have no limit`)
    const size = limit ?? USUAL_PAGE
    const rows: (ListRow & { readonly id: number })[] = []
    for await (const batch of some(batches, size + 1)) {
      // Nobody waits for the rest, and it would delay other requests.
      c.env?.timedOut?.throwIfAborted()
      rows.push(...batch)
    }
    const page = rows.slice(0, size)
    const next = rows.length > size ? String(page.at(-1)?.id) : null
    return c.json({ rows: page, next } as never, 200, {
      vary: 'accept',
      'cache-control': 'private, no-cache',
    })
  })
}

const paged = z.strictObject({ ...PAGING, format: formatFilter })

/** A list that is computed at once. */
export function addSmallList<Filters extends z.ZodRawShape>(
  api: Api,
  context: { readonly log: Logger },
  route: ListRoute<Filters>,
  read: (c: ApiContext, query: Query<Filters>) => Promise<readonly ListRow[]>,
): void {
  const query = z.strictObject({ ...route.filters, format: formatFilter })
  addRoute(api, describe(route, query, false), route.rule, async (c) => {
    const wanted = c.req.valid('query') as Query<Filters> & { readonly format?: Format }
    const answerIn = wanted.format ?? formatOf(c)
    const rows = await read(c, wanted)
    if (answerIn !== 'json') return tableOf(context, route, answerIn, rows)
    return c.json({ rows } as never, 200, { vary: 'accept', 'cache-control': 'private, no-cache' })
  })
}

/** Rows that are read in batches, as a table with the fields of their schema as columns. */
export const table = (
  context: { readonly log: Logger },
  { name, row }: Pick<ListRoute<z.ZodRawShape>, 'name' | 'row'>,
  format: TableFormat,
  rows: AsyncIterable<readonly ListRow[]>,
): Response => {
  const columns = Object.keys(row.shape)
  const cellsOf = (values: ListRow) => columns.map((column) => cellOf(values[column]))
  return tableAnswer(context, { name, format, columns, cellsOf }, rows)
}

const cellOf = (value: Value | undefined): Cell =>
  value instanceof Date ? value.toISOString() : (value ?? null)

/** The same of rows that are known. */
export const tableOf = (
  context: { readonly log: Logger },
  list: Pick<ListRoute<z.ZodRawShape>, 'name' | 'row'>,
  format: TableFormat,
  rows: readonly ListRow[],
): Response => table(context, list, format, once(rows))

async function* once<Row>(rows: readonly Row[]): AsyncGenerator<readonly Row[]> {
  yield rows
}

/** The first `limit` rows. */
async function* some<Row>(
  batches: AsyncIterable<readonly Row[]>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<readonly Row[]> {
  let left = limit
  for await (const rows of batches) {
    yield rows.slice(0, left)
    left -= rows.length
    if (left <= 0) return
  }
}

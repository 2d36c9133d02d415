/**
 * Search for runs: conditions, an order, and pages by keyset, which are equally fast at any depth and neither
 * repeat nor omit a run while others arrive. Only current generations are found.
 *
 * Each tag is searched separately, with an index that begins with the tag and has the order
 * (search-index.ts), and the results are merged: there is no index for `tag IN (…)`, and sorting a million
 * runs takes seconds.
 */
import { type RawBuilder, sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { Run } from '../database/schema.ts'
import { InvalidInputError } from '../errors.ts'
import { matches, type RunConditions, type RunOrder } from './run-conditions.ts'
import { searchIndexes } from './search-index.ts'
import { tagsWithRuns, type VisibleTags } from './site-state.ts'

const ORDER_COLUMNS = {
  run: 'runNumber',
  start: 'startedAt',
  size: 'sizeBytes',
  events: 'eventCount',
  catalogued: 'cataloguedAt',
} as const satisfies Record<RunOrder, keyof Run>

export interface RunSearch {
  /** The requested tags that may be seen; `*` for all. */
  readonly tags: VisibleTags
  readonly conditions: RunConditions
  readonly order: { readonly by: RunOrder; readonly descending: boolean }
  /** The last run of the previous page. */
  readonly after: RunPosition | null
  readonly limit: number
}

/** The position of a run in an order: times are Unix milliseconds, null precedes all values. */
export interface RunPosition {
  readonly value: number | null
  readonly id: number
}

export interface RunPage {
  readonly runs: readonly Run[]
  /** The `after` of the next page; null on the last page. */
  readonly next: RunPosition | null
}

/** A longer search is aborted: it would block a connection that others need. */
const LONGEST_SECONDS = 5

/** Tags searched in one statement. */
const TAGS_AT_ONCE = 32

/** One page of runs. @throws SearchTooLongError when no index helps and too much must be read. */
export async function searchRuns(database: Database, search: RunSearch): Promise<RunPage> {
  const tags = search.tags === '*' ? await tagsWithRuns(database, '*') : [...new Set(search.tags)]
  const found: Found[] = []
  for (let first = 0; first < tags.length; first += TAGS_AT_ONCE)
    found.push(...(await findIn(database, tags.slice(first, first + TAGS_AT_ONCE), search)))
  const sign = search.order.descending ? -1 : 1
  const page = found.toSorted((a, b) => sign * compare(a, b)).slice(0, search.limit + 1)
  const chosen = page.slice(0, search.limit)
  return {
    runs: await runsOf(database, chosen),
    next: page.length > search.limit ? (chosen.at(-1) ?? null) : null,
  }
}

/** The search was aborted. The message states what to do. */
export class SearchTooLongError extends InvalidInputError {}

type Found = RunPosition

async function findIn(
  database: Database,
  tags: readonly string[],
  search: RunSearch,
): Promise<readonly Found[]> {
  const parts = tags.map((tag) => sql`(${inTag(tag, search)})`)
  const query = sql<{ id: number; value: number | Date | null }>`
    SET STATEMENT max_statement_time = ${sql.lit(LONGEST_SECONDS)} FOR
    ${sql.join(parts, sql` UNION ALL `)}`
  const { rows } = await query.execute(database).catch(tooLong)
  return rows.map(({ id, value }) => ({ id, value: value instanceof Date ? value.getTime() : value }))
}

function inTag(tag: string, { conditions, order, after, limit }: RunSearch): RawBuilder<unknown> {
  const column = sql.ref(`runs.${ORDER_COLUMNS[order.by]}`)
  const direction = sql.raw(order.descending ? 'DESC' : 'ASC')
  const parts = [sql`runs.tag = ${tag}`, sql`runs.is_current = 1`, ...matches(conditions)]
  if (after !== null) parts.push(isAfter(column, order, after))
  const indexes = searchIndexes(conditions, order.by)
  const along =
    indexes.length === 0 ? sql`` : sql` FORCE INDEX (${sql.join(indexes.map((name) => sql.id(name)))})`
  return sql`SELECT runs.id, ${column} AS value FROM runs${along} WHERE ${sql.join(parts, sql` AND `)}
    ORDER BY ${column} ${direction}, runs.id ${direction} LIMIT ${sql.lit(limit + 1)}`
}

/** NULL precedes all values, as in the indexes of the database. */
function isAfter(
  column: RawBuilder<unknown>,
  { by, descending }: RunSearch['order'],
  { value, id }: RunPosition,
): RawBuilder<unknown> {
  const isTime = by === 'start' || by === 'catalogued'
  const bound = value !== null && isTime ? new Date(value) : value
  if (bound === null)
    return descending
      ? sql`(${column} IS NULL AND runs.id < ${id})`
      : sql`(${column} IS NOT NULL OR runs.id > ${id})`
  return descending
    ? sql`(${column} < ${bound} OR ${column} IS NULL OR (${column} = ${bound} AND runs.id < ${id}))`
    : sql`(${column} > ${bound} OR (${column} = ${bound} AND runs.id > ${id}))`
}

const compare = (a: Found, b: Found) =>
  (a.value ?? Number.NEGATIVE_INFINITY) - (b.value ?? Number.NEGATIVE_INFINITY) || a.id - b.id

async function runsOf(database: Database, found: readonly Found[]): Promise<readonly Run[]> {
  if (found.length === 0) return []
  const ids = found.map(({ id }) => id)
  const runs = await database.selectFrom('runs').selectAll().where('id', 'in', ids).execute()
  const byId = new Map(runs.map((run) => [run.id, run]))
  return ids.flatMap((id) => byId.get(id) ?? [])
}

function tooLong(error: unknown): never {
  // ER_STATEMENT_TIMEOUT of MariaDB, for which mysql2 has only the number.
  if (error instanceof Error && 'errno' in error && error.errno === 1969)
    throw new SearchTooLongError(
      `this search took longer than ${LONGEST_SECONDS} seconds and was aborted; narrow it by tag, run numbers or time, or use another order`,
    )
  throw error
}

/**
 * The query of the page Runs. Its address is a query of the API (api/run-query.ts) plus the columns of the
 * table. Form fields that the API writes differently are converted by a redirect, so that an address can be
 * bookmarked, shared and used with the API.
 */
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import type { RunPosition, RunSearch } from '../../../shared/queries/search-runs.ts'
import { readCursor, runQuery, searchOf, writeCursor } from '../api/run-query.ts'
import { COLUMN_NAMES, DEFAULT_COLUMNS } from './runs-columns.ts'
import { type FilterProblem, filterProblem } from './runs-fields.ts'

const PAGE_SIZE = 100

/** A field of the page only. */
const COLUMN = 'column'
/** Form fields that make up one condition, `param.NAME.OPERATOR=VALUE`. */
const PARAMETER_FIELDS = ['parameter', 'operator', 'value']
/** Fields of the API only. */
const API_FIELDS = ['fields', 'format', 'limit']

export interface RunsPageQuery {
  readonly search: RunSearch
  /** `-run`: the order to which cursors belong. */
  readonly sort: string
  readonly columns: readonly string[]
}

/** The parsed query, or its problems for people. @param visible the tags that the caller may see. */
export function parseRunsPage(
  address: URLSearchParams,
  visible: RunSearch['tags'],
): { readonly query: RunsPageQuery } | { readonly problems: readonly FilterProblem[] } {
  const parsed = runQuery.safeParse(apiFields(address))
  if (!parsed.success)
    return {
      problems: parsed.error.issues.map(({ path, message }) => filterProblem(String(path[0] ?? ''), message)),
    }
  const { tags, conditions, order } = searchOf(parsed.data)
  const sort = `${order.descending ? '-' : ''}${order.by}`
  const cursor = address.get('cursor')
  const after = cursor === null ? null : readCursor(sort, cursor)
  if (cursor !== null && after === null)
    return {
      problems: [
        {
          name: null,
          sentence: 'There is no such page of the list in this order. Start from the first page.',
        },
      ],
    }
  const columns = address.getAll(COLUMN).filter((name) => COLUMN_NAMES.includes(name))
  return {
    query: {
      search: { tags: visibleOf(tags, visible), conditions, order, after, limit: PAGE_SIZE },
      sort,
      columns: columns.length === 0 ? DEFAULT_COLUMNS : [...new Set(columns)],
    },
  }
}

const visibleOf = (asked: readonly string[] | null, visible: RunSearch['tags']): RunSearch['tags'] => {
  if (asked === null) return visible
  return visible === EVERY_TAG ? asked : asked.filter((tag) => visible.includes(tag))
}

/**
 * The query of the API. A repeated field that allows only one value becomes an array, which the API refuses.
 */
function apiFields(address: URLSearchParams): Readonly<Record<string, string | readonly string[]>> {
  const names = new Set(address.keys().filter((name) => name !== COLUMN && !API_FIELDS.includes(name)))
  return Object.fromEntries(
    [...names].map((name) => {
      const values = address.getAll(name)
      return [name, values.length === 1 ? (values[0] ?? '') : values]
    }),
  )
}

/** The API query for the same runs, without the position. */
export function apiQuery(address: URLSearchParams): URLSearchParams {
  const query = new URLSearchParams(address)
  for (const name of [COLUMN, 'cursor', ...API_FIELDS]) query.delete(name)
  return query
}

/** The canonical form of the address; unchanged if it is canonical already. */
export function canonicalAddress(address: URLSearchParams): URLSearchParams {
  const canonical = new URLSearchParams()
  for (const [name, text] of address) {
    const value = text.trim()
    if (value === '' || PARAMETER_FIELDS.includes(name)) continue
    canonical.append(name, name === 'since' || name === 'until' ? timeOfField(value) : value)
  }
  const [parameter = '', operator, value = ''] = PARAMETER_FIELDS.map((name) => address.get(name)?.trim())
  if (parameter !== '' && value !== '')
    canonical.set(
      `param.${parameter}${operator === undefined || operator === 'eq' ? '' : `.${operator}`}`,
      value,
    )
  if (canonical.getAll(COLUMN).join() === DEFAULT_COLUMNS.join()) canonical.delete(COLUMN)
  return canonical
}

/** `2026-01-15 08:00` as the API writes it; UTC. */
function timeOfField(text: string): string {
  const [, day, minutes, seconds = ':00'] = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d)?$/.exec(text) ?? []
  return day === undefined ? text : `${day}T${minutes}${seconds}Z`
}

export const nextAddress = (address: URLSearchParams, { sort }: RunsPageQuery, next: RunPosition): string =>
  addressWith(address, { cursor: writeCursor(sort, next) })

/** The same address with other fields; null removes one. */
export function addressWith(
  address: URLSearchParams,
  changes: Readonly<Record<string, string | null>>,
): string {
  const changed = new URLSearchParams(address)
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) changed.delete(name)
    else changed.set(name, value)
  }
  return pathOf(changed)
}

/** The first page of the same list without one filter. */
export function addressWithout(address: URLSearchParams, name: string, value: string): string {
  const changed = new URLSearchParams(address)
  changed.delete(name, value)
  changed.delete('cursor')
  return pathOf(changed)
}

const pathOf = (address: URLSearchParams): string => (address.size === 0 ? '/runs' : `/runs?${address}`)

/** Runs from the catalogue's API. */
import * as z from 'zod'
import { InvalidInputError } from '../../shared/errors.ts'
import { isTag, type RunId } from '../../shared/run.ts'
import type { ApiClient } from '../api/client.ts'
import { requestJson } from '../api/request-json.ts'
import type { RunRange } from '../arguments.ts'
import { checkOneTag } from './one-tag.ts'
import type { RunListQuery } from './run-list-query.ts'
import { RUN_FIELDS, type RunItem, runItem, type ShownRun, shownRun } from './run-shapes.ts'

/** The longest page of the API. */
const PAGE = 500

const runName = z.object({ tag: z.string().refine(isTag), runNumber: z.int().nonnegative() }).readonly()

export interface RunPage {
  readonly runs: readonly RunItem[]
  /** More runs match than were returned so far. */
  readonly more: boolean
}

/**
 * Pages by keyset, up to the limit of the query: runs that arrive meanwhile neither repeat nor hide other runs.
 * @throws InvalidInputError when the caller may not see a tag, or the search takes too long.
 */
export const findRuns = (api: ApiClient, query: RunListQuery, signal: AbortSignal): AsyncIterable<RunPage> =>
  pagesOf(api, searchParamsOf(query), query.limit, runItem, signal)

/**
 * The current generation of a run number, with `all` followed by the earlier ones; `uses` is the number of
 * generations.
 * @throws InvalidInputError when there is no such run, or several tags have it.
 */
export async function showRun(
  api: ApiClient,
  { runNumber, tag }: { readonly runNumber: number; readonly tag: string | undefined },
  all: boolean,
  signal: AbortSignal,
): Promise<{ readonly runs: readonly ShownRun[]; readonly uses: number }> {
  const run = await findRunName(api, runNumber, tag, signal)
  const path = pathOfRun(run)
  const current = await requestJson(api, path, shownRun, signal)
  const runs: ShownRun[] = [current]
  if (all)
    for (const { use } of current.uses)
      if (use !== current.use) runs.push(await requestJson(api, `${path}?use=${use}`, shownRun, signal))
  return { runs, uses: current.uses.length }
}

/**
 * The names of the runs in a range, by tag and then by number; of every tag that the caller may see, unless
 * one is named.
 */
export async function namesIn(
  api: ApiClient,
  { from, to, tag }: RunRange & { readonly tag: string | undefined },
  signal: AbortSignal,
): Promise<readonly RunId[]> {
  const query = new URLSearchParams({
    from: String(from),
    to: String(to),
    sort: 'run',
    fields: 'tag,runNumber',
  })
  if (tag !== undefined) query.set('tag', tag)
  const names: RunId[] = []
  for await (const { runs } of pagesOf(api, query, Number.POSITIVE_INFINITY, runName, signal))
    names.push(...runs)
  return names.toSorted((a, b) => (a.tag === b.tag ? a.runNumber - b.runNumber : a.tag < b.tag ? -1 : 1))
}

/** The API's path of a run. */
export const pathOfRun = ({ tag, runNumber }: RunId): string =>
  `/api/v1/runs/${encodeURIComponent(tag)}/${runNumber}`

/**
 * The run with this number. With a tag there is no request: the caller's next request finds the run.
 * @throws InvalidInputError when there is none, or several tags have it.
 */
export async function findRunName(
  api: ApiClient,
  runNumber: number,
  tag: string | undefined,
  signal: AbortSignal,
): Promise<RunId> {
  if (tag !== undefined) return { tag, runNumber }
  const runs = await namesIn(api, { from: runNumber, to: runNumber, tag }, signal)
  checkOneTag(runs, `is a run ${runNumber}`)
  const [run] = runs
  if (run === undefined) throw await unknownRun(api, runNumber, signal)
  return run
}

const ledgerSchema = z.object({ heard: z.array(z.string()).default([]) })

/** An error with what the ledger knows about a run that is not in the catalogue, and what to do. */
async function unknownRun(api: ApiClient, number: number, signal: AbortSignal): Promise<InvalidInputError> {
  const { heard } = await requestJson(api, `/api/v1/runs?from=${number}&to=${number}`, ledgerSchema, signal)
  const missing = `run ${number} is not in the catalogue`
  return new InvalidInputError(
    heard.length === 0
      ? `${missing}, or of a tag that you may not see; \`cygnet reconcile\` searches the store, docs/runbook.md lists other places to check`
      : `${missing}, but its files were reported:\n${heard.map((line) => `  ${line}`).join('\n')}\n\`cygnet logs --run ${number}\` shows details, \`cygnet replay --run ${number}\` tries again`,
  )
}

/** Each page has the cursor of the next one, so that no run is missed or repeated while runs arrive. */
async function* pagesOf<T>(
  api: ApiClient,
  query: URLSearchParams,
  limit: number,
  item: z.ZodType<T>,
  signal: AbortSignal,
) {
  const page = z.object({ runs: z.array(item), next: z.string().nullable() })
  for (let left = limit; left > 0; ) {
    query.set('limit', String(Math.min(left, PAGE)))
    const { runs, next } = await requestJson(api, `/api/v1/runs?${query}`, page, signal)
    yield { runs, more: next !== null }
    if (next === null || runs.length === 0) return
    left -= runs.length
    query.set('cursor', next)
  }
}

function searchParamsOf({ tags, conditions, order, withParameters }: RunListQuery): URLSearchParams {
  const {
    from,
    to,
    since,
    until,
    complete,
    problem,
    pedestal,
    text,
    cloud,
    tape,
    parameters = [],
  } = conditions
  const fields = [...RUN_FIELDS, 'storage', ...(withParameters ? ['parameters'] : [])].join()
  const query = new URLSearchParams({ sort: `${order.descending ? '-' : ''}${order.by}`, fields })
  for (const tag of tags ?? []) query.append('tag', tag)
  const filters = {
    from,
    to,
    since: since?.toISOString(),
    until: until?.toISOString(),
    complete,
    problem,
    pedestal,
    text,
    cloud,
    tape,
  }
  for (const [name, value] of Object.entries(filters)) if (value !== undefined) query.set(name, String(value))
  for (const { column, operator, value } of parameters)
    query.append(`param.${column.name}${operator === 'eq' ? '' : `.${operator}`}`, String(value))
  return query
}

/** Lists of runs: pages of JSON, or complete lists as NDJSON or CSV, sent as they are read. */
import { createRoute } from '@hono/zod-openapi'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import type { Context as ServiceContext } from '../../../shared/context.ts'
import { arrivedFilesOf, arrivedFilesText } from '../../../shared/queries/not-catalogued.ts'
import {
  type RunPage,
  type RunSearch,
  SearchTooLongError,
  searchRuns,
} from '../../../shared/queries/search-runs.ts'
import { cutText } from '../../../shared/text.ts'
import { taggedJson } from '../http/etag.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addRoute } from '../http/route.ts'
import { formatOf, tableAnswer } from '../http/table-answer.ts'
import { problems, SECURITY } from './problems.ts'
import { readableTags } from './readable-tags.ts'
import {
  ALL_FIELDS,
  cellsOf,
  chooseFields,
  columnsOf,
  type FieldChoice,
  itemsOf,
  type RunItem,
} from './run-fields.ts'
import {
  LONGEST_PAGE,
  pageLimit,
  type RunQuery,
  readCursor,
  runQuery,
  searchOf,
  writeCursor,
} from './run-query.ts'
import { runItem, runPage } from './schemas.ts'

type Context = ServiceContext<'database'>

const DESCRIPTION = `The runs that match all conditions, of tags that the caller may see. A reused run number is listed once, with its current generation.

JSON comes in pages: the header Link (rel="next") and \`next\` in the answer lead to the next one. NDJSON (one run per line) and CSV hold
all runs, or the first \`limit\` of them. They are sent while they are read: an incomplete answer is cut off, which
clients report as an error. In CSV a text that a spreadsheet would take for a formula has an apostrophe before it.

Run parameters are compared by \`param.NAME=value\`, or \`param.NAME.gte=value\` and so on (ne, lt, lte, gt, gte). No index helps them:
narrow such a search by tag, run numbers or time.`

const runsRoute = createRoute({
  method: 'get',
  path: '/api/v1/runs',
  tags: ['Runs'],
  summary: 'Runs, filtered and sorted',
  description: DESCRIPTION,
  security: SECURITY,
  request: { query: runQuery },
  responses: {
    200: {
      description: 'The runs',
      content: {
        'application/json': { schema: runPage },
        'application/x-ndjson': { schema: runItem },
        'text/csv': {
          schema: { type: 'string', example: 'tag,runNumber,param.GEM1_V\r\nLNGS,12345,440\r\n' },
        },
      },
    },
    304: { description: 'Unchanged: the ETag is the one in If-None-Match' },
    ...problems(404, 422),
  },
})

export function registerRuns(api: Api, context: Context): void {
  addRoute(api, runsRoute, { right: 'read', anyTag: true }, async (c) => {
    const query = c.req.valid('query')
    const fields = fieldsOf(query)
    const format = query.format ?? formatOf(c)
    const limit = format === 'json' ? pageLimit(query) : (query.limit ?? Number.POSITIVE_INFINITY)
    if (format === 'json' && limit > LONGEST_PAGE)
      throw refusal(400, `limit: a page has at most ${LONGEST_PAGE} runs; NDJSON and CSV have no limit`)
    const search = { ...(await readSearch(context, c, query)), limit: Math.min(limit, LONGEST_PAGE) }
    const first = await find(context, search)
    if (format === 'json') return await page(c, context, search, first, fields)
    const items = itemsIn(follow(context, search, first, limit), fields)
    const columns = columnsOf(fields)
    return tableAnswer(
      context,
      { name: 'runs', format, columns, cellsOf: (item) => cellsOf(item, fields) },
      items,
    )
  })
}

function fieldsOf(query: RunQuery): FieldChoice {
  if (query.fields === undefined) return ALL_FIELDS
  const choice = chooseFields(query.fields)
  if ('unknown' in choice)
    throw refusal(
      400,
      `fields: ${choice.unknown === '' ? 'name at least one' : `unknown field ${cutText(choice.unknown, 80)}`}`,
    )
  return choice
}

type Search = Omit<RunSearch, 'limit'>

async function readSearch(context: Context, c: ApiContext, query: RunQuery): Promise<Search> {
  const { tags, ...search } = searchOf(query)
  const after = query.cursor === undefined ? null : readCursor(sortOf(search), query.cursor)
  if (query.cursor !== undefined && after === null)
    throw refusal(400, 'cursor: not a cursor of a list in this order')
  return { ...search, tags: await readableTags(context, c, tags), after }
}

const sortOf = ({ order }: Pick<RunSearch, 'order'>) => `${order.descending ? '-' : ''}${order.by}`

async function find({ database }: Context, search: RunSearch): Promise<RunPage> {
  try {
    return await searchRuns(database, search)
  } catch (error) {
    throw error instanceof SearchTooLongError ? refusal(422, error.message) : error
  }
}

async function page(
  c: ApiContext,
  context: Context,
  search: Search,
  { runs, next }: RunPage,
  fields: FieldChoice,
): Promise<Response> {
  const cursor = next === null ? null : writeCursor(sortOf(search), next)
  const reportedFiles = runs.length === 0 ? await arrivedFiles(context, search) : []
  const answer = {
    runs: itemsOf(runs, fields),
    next: cursor,
    ...(reportedFiles.length > 0 ? { heard: reportedFiles } : {}),
  }
  const link: Readonly<Record<string, string>> =
    cursor === null ? {} : { link: `<${nextAddress(c, context, cursor)}>; rel="next"` }
  return taggedJson(c, answer, { vary: 'accept', ...link })
}

/** The recorded arrivals for the one requested number, of tags that the caller may see. */
async function arrivedFiles({ database }: Context, { tags, conditions: { from, to } }: Search) {
  if (from === undefined || from !== to) return []
  const runs = tags === EVERY_TAG ? [{ runNumber: from }] : tags.map((tag) => ({ tag, runNumber: from }))
  const files = await Promise.all(runs.map((run) => arrivedFilesOf(database, run)))
  return files.flat().map(arrivedFilesText)
}

/**
 * Relative if the public address is not configured: behind a proxy, the host of a request may be another one.
 */
function nextAddress(c: ApiContext, { config }: Context, cursor: string): string {
  const url = new URL(c.req.url)
  url.searchParams.set('cursor', cursor)
  const path = `${url.pathname}${url.search}`
  return config.access.publicUrl === undefined
    ? path
    : new URL(path.slice(1), withSlash(config.access.publicUrl)).href
}

const withSlash = (address: string) => (address.endsWith('/') ? address : `${address}/`)

/** Page after page, up to `limit` runs. */
async function* follow(
  context: Context,
  search: RunSearch,
  first: RunPage,
  limit: number,
): AsyncGenerator<RunPage['runs']> {
  let page = first
  for (let sent = 0; ; ) {
    yield page.runs
    sent += page.runs.length
    if (page.next === null || sent >= limit) return
    page = await find(context, { ...search, after: page.next, limit: Math.min(LONGEST_PAGE, limit - sent) })
  }
}

async function* itemsIn(
  pages: AsyncIterable<RunPage['runs']>,
  fields: FieldChoice,
): AsyncGenerator<readonly RunItem[]> {
  for await (const runs of pages) yield itemsOf(runs, fields)
}

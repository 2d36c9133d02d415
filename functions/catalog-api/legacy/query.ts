/**
 * GET /cygno_sql_query.php: the logbook for the experiment's old tools. Parameters, their truth values and
 * the answer are those of the PHP page, byte by byte, but without its security holes: `db` is one of an
 * allow-list, and `run`, `start` and `end` are whole numbers bound as parameters, never inserted into SQL.
 */

import type { Context } from '../../../shared/context.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/log.ts'
import {
  createTableFinder,
  findLegacyRow,
  type LegacyRow,
  type LegacyTable,
  NO_END,
  readLegacyRows,
} from '../../../shared/queries/legacy-runlog.ts'
import { isTag } from '../../../shared/run.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'
import { htmlSpecialChars, isTruthy, jsonRowEncoder, lastOf, parseInteger } from './php-text.ts'

const ROUTE = '/cygno_sql_query.php'

/**
 * JSON with a type that browsers show as a page, as it always was: the policy disables any content of a
 * description there.
 */
const HEADERS = {
  'content-type': 'text/html; charset=UTF-8',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
} as const

const answer = (body: string | ReadableStream<Uint8Array>, status = 200): Response =>
  new Response(body === '' ? null : body, { status, headers: HEADERS })

interface LegacyQuery {
  readonly table: string
  /** One row; otherwise all rows of the range. */
  readonly run: number | null
  readonly from: number
  readonly before: number
  readonly asPage: boolean
}

export function registerLegacyQuery(
  api: Api,
  { config, database, log, now }: Pick<Context<'database'>, 'config' | 'database' | 'log' | 'now'>,
): void {
  const findTable = createTableFinder(database, now)
  const tagOfSite = parseSites(config.legacy.sites)
  const tagOf = (c: ApiContext) => tagOfSite(lastOf(queryOf(c), 'site'))

  addPage(api, 'GET', ROUTE, { right: 'read', tagOf }, async (c) => {
    const tag = tagOf(c)
    try {
      const question = readQuery(queryOf(c), config.legacy.tables)
      const table = await findTable(question.table)
      if (question.run !== null) {
        const row = await findLegacyRow(database, table, tag, question.run)
        return answer(row === null ? 'null' : jsonRowEncoder(table.columns)(row))
      }
      const rows = readLegacyRows(database, table, { tag, from: question.from, before: question.before })
      return await streamed(question.asPage ? htmlText(table, rows) : jsonText(table, rows), log)
    } catch (error) {
      if (error instanceof InvalidInputError) return answer(error.message, 400)
      log.error({ error, tag, route: ROUTE }, 'request-failed')
      // The old tools recognize this text as a database failure; they ignore the status.
      return answer("Connection failed: the catalogue's database does not answer now")
    }
  })
}

/** Returns the tag for a site name of a request; for unknown or missing names, that of the empty name. */
type SiteTag = (site: string | null) => string

/**
 * The tag of each site of the old tools, which used to be a separate database.
 * @param setting `lnf=LNF,LNF=LNF,=LNGS`: case-sensitive names; any other name means the empty one.
 * @throws InvalidInputError for an invalid text, or one without the empty name.
 */
export function parseSites(setting: string): SiteTag {
  const pairs = setting.split(',').map((pair) => pair.split('=').map((part) => part.trim()))
  const wrong = pairs.find(([, tag = '', ...more]) => !isTag(tag) || more.length > 0)
  if (wrong !== undefined)
    throw new InvalidInputError(`CYGNET_LEGACY_SITES: "${wrong.join('=')}" is not NAME=TAG`)
  const tags = new Map(pairs.map(([name = '', tag = '']) => [name, tag]))
  const other = tags.get('')
  if (other === undefined)
    throw new InvalidInputError('CYGNET_LEGACY_SITES: the tag of any other site is missing, e.g. =LNGS')
  return (site) => tags.get(site ?? '') ?? other
}

const queryOf = (c: ApiContext): URLSearchParams => new URL(c.req.url).searchParams

/** @throws InvalidInputError with a sentence that repeats no part of the request. */
function readQuery(query: URLSearchParams, allowedTables: readonly string[]): LegacyQuery {
  const table = lastOf(query, 'db') ?? 'Runlog'
  if (!allowedTables.includes(table))
    throw new InvalidInputError(`db: there is no such table; there is ${allowedTables.join(', ')}`)
  const run = lastOf(query, 'run')
  const start = lastOf(query, 'start')
  const end = lastOf(query, 'end')
  const asPage = isTruthy(lastOf(query, 'table'))
  if (isTruthy(run)) return { table, run: whole('run', run), from: 0, before: 0, asPage }
  // Both count or neither: `start=0&end=100000000`, which the library sends for "all", is no limit because
  // "0" is false.
  if (!isTruthy(start) || !isTruthy(end)) return { table, run: null, from: 0, before: NO_END, asPage }
  return { table, run: null, from: whole('start', start), before: whole('end', end), asPage }
}

function whole(name: string, text: string): number {
  const value = parseInteger(text)
  if (value === null) throw new InvalidInputError(`${name}: a whole number is expected`)
  return value
}

/**
 * The first piece is awaited, so that a database failure is reported as such; the rest is sent as it is read.
 */
async function streamed(pieces: AsyncGenerator<string>, log: Logger): Promise<Response> {
  const first = await pieces.next()
  if (first.done === true) return answer('')
  const encoder = new TextEncoder()
  async function* encoded() {
    try {
      yield encoder.encode(first.value)
      for await (const piece of pieces) yield encoder.encode(piece)
    } catch (error) {
      // The answer is cut off, which no client mistakes for a complete one.
      log.error({ error, route: ROUTE }, 'request-failed')
      throw error
    }
  }
  return answer(ReadableStream.from(encoded()) as ReadableStream<Uint8Array>)
}

/** Rows in batches as they are read. */
type Batches = AsyncIterable<readonly LegacyRow[]>

/** `[ {…},{…} ]`, and an empty text for no rows. */
async function* jsonText({ columns }: LegacyTable, batches: Batches): AsyncGenerator<string> {
  const encode = jsonRowEncoder(columns)
  let before = '[ '
  for await (const rows of batches) {
    yield before + rows.map(encode).join(',')
    before = ','
  }
  if (before === ',') yield ' ]'
}

/** A page with one table, and an empty text for no rows. */
async function* htmlText({ name, columns }: LegacyTable, batches: Batches): AsyncGenerator<string> {
  const line = (cell: 'th' | 'td', values: LegacyRow) =>
    `<tr>${values.map((value) => `<${cell}>${htmlSpecialChars(value)}</${cell}>`).join('')}</tr>\n`
  const title = htmlSpecialChars(name)
  let before = `<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body><table border="1">\n`
  before += line('th', columns)
  let some = false
  for await (const rows of batches) {
    yield before + rows.map((row) => line('td', row)).join('')
    before = ''
    some = true
  }
  if (some) yield '</table></body></html>\n'
}

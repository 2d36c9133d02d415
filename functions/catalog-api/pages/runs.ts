/** Runs: the table for finding runs and requesting links to them. */
import { html } from 'hono/html'
import { tagsAllowed } from '../../../shared/access/caller.ts'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import type { Context } from '../../../shared/context.ts'
import { unknownTag } from '../../../shared/queries/known-tags.ts'
import { type ArrivedFile, arrivedFilesOf, arrivedFilesText } from '../../../shared/queries/not-catalogued.ts'
import { RUN_ORDERS } from '../../../shared/queries/run-conditions.ts'
import { runsVerified } from '../../../shared/queries/runs-verified.ts'
import { SearchTooLongError, searchRuns } from '../../../shared/queries/search-runs.ts'
import { lastRuns } from '../../../shared/queries/site-runs.ts'
import { tagsWithRuns } from '../../../shared/queries/site-state.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'
import { capitalized, counted } from './format.ts'
import { csrfField, renderPage } from './layout.ts'
import { csrfTokenOf, originOf, type PageOptions } from './options.ts'
import { ageOf, type Column, copyable, type Html, NOTHING, runPath, table } from './parts.ts'
import { chosenValue, fromField } from './run-links.ts'
import { columnOf, headOf, type ListedRun } from './runs-columns.ts'
import { activeFilters, type FilterProblem } from './runs-fields.ts'
import { filterBar, runsForm } from './runs-form.ts'
import {
  addressWith,
  apiQuery,
  canonicalAddress,
  nextAddress,
  parseRunsPage,
  type RunsPageQuery,
} from './runs-query.ts'
import { useElsewhere } from './use-elsewhere.ts'

export function registerRuns(api: Api, context: Context<'database'>, options: PageOptions): void {
  addPage(api, 'GET', '/runs', { right: 'read', anyTag: true }, async (c) => {
    const address = new URL(c.req.url).searchParams
    const canonical = canonicalAddress(address)
    if (String(canonical) !== String(address)) return c.redirect(addressWith(canonical, {}), 302)
    const visible = tagsAllowed(c.get('caller'), 'read')
    const tags = await tagsWithRuns(context.database, visible)
    const elsewhere = useElsewhere({
      id: 'runs',
      origin: originOf(c, context),
      lists: [{ what: 'all runs that match, of all pages', path: '/api/v1/runs', query: apiQuery(address) }],
    })
    const page = (results: Html, problems: readonly FilterProblem[] = []) =>
      renderPage(c, options, {
        title: 'Runs',
        status: problems.length === 0 ? 200 : 400,
        scripts: ['live.js', 'runs.js'],
        styles: ['runs.css'],
        body: html`<div class="title"><h1>Runs</h1>${problems.length === 0 ? elsewhere : NOTHING}<p class="live" role="status" data-live-status></p></div>
${filterBar(address, activeFilters(address))}
${runsForm(address, tags, problems)}
${results}`,
      })
    const wrong = (problems: readonly FilterProblem[]) => page(problemList(problems), problems)
    const parsed = parseRunsPage(address, visible)
    if ('problems' in parsed) return wrong(parsed.problems)
    try {
      return page(await results(c, { context, options, address, request: parsed.query, tags }))
    } catch (error) {
      if (error instanceof SearchTooLongError) return wrong([{ name: null, sentence: error.message }])
      throw error
    }
  })
}

const problemList = (problems: readonly FilterProblem[]): Html =>
  html`<div class="notice bad" role="alert">${problems.map(({ name, sentence }) => html`<p${name === null ? NOTHING : html` id="problem-${name}"`}>${sentence}</p>`)}
<p><a href="/runs">Show all runs</a></p></div>`

interface RunsRequest {
  readonly context: Context<'database'>
  readonly options: PageOptions
  readonly address: URLSearchParams
  readonly request: RunsPageQuery
  /** That have runs and may be seen. */
  readonly tags: readonly string[]
}

async function results(
  c: ApiContext,
  { context, options, address, request, tags }: RunsRequest,
): Promise<Html> {
  const { runs, next } = await searchRuns(context.database, request.search)
  if (runs.length === 0) return await noRuns(c, context, address, request, tags)
  const verifiedOf = await runsVerified(
    context.database,
    runs.map(({ id }) => id),
  )
  const period = { scrubDays: context.config.scrub.days, now: context.now() }
  const mayLink = tagsAllowed(c.get('caller'), 'link').length > 0
  const found = table<ListedRun>({
    id: 'runs',
    caption: `${counted(runs.length, 'run')}${next === null ? '' : ', more on the next page'}`,
    rows: runs.map((run) => ({ ...run, verified: verifiedOf(run.id), period })),
    empty: '',
    columns: [...(mayLink ? [chooseColumn] : []), ...columnsOf(address, request)],
  })
  const first =
    request.search.after === null
      ? NOTHING
      : html`<a href="${addressWith(address, { cursor: null })}">First page</a>`
  const further =
    next === null ? NOTHING : html`<a rel="next" href="${nextAddress(address, request, next)}">Next page</a>`
  const links = html`<p class="chosen"><button class="main">Links to the chosen runs</button> <span class="quiet" data-chosen role="status"></span></p>`
  return html`<form method="post" action="/runs/links" data-selection>${csrfField(csrfTokenOf(c, options))}${fromField(addressWith(address, {}))}
<div class="run-rows">${found}</div>
<div class="below">${mayLink ? links : NOTHING}<nav aria-label="Pages of the table">${first}${further}</nav></div>
</form>`
}

/** Why the list is empty, and what to do next. */
async function noRuns(
  c: ApiContext,
  { database, now }: Context<'database'>,
  address: URLSearchParams,
  { search }: RunsPageQuery,
  tags: readonly string[],
): Promise<Html> {
  if (tags.length === 0)
    return html`<div class="notice"><p><strong>The catalogue has no run yet${tagsAllowed(c.get('caller'), 'read') === EVERY_TAG ? '' : ' that you may see'}.</strong></p>
<p>A run is listed here seconds after its file was put into the store. To play a detector:</p>${copyable('play', 'Shell', 'cygnet simulate --tag LNGS --out runs && cygnet push --tag LNGS runs/LNGS/*')}</div>`
  const filters = activeFilters(address)
  if (filters.length === 0 || search.after !== null)
    return html`<div class="notice"><p><strong>There are no more runs on this page.</strong> <a href="${addressWith(address, { cursor: null })}">First page</a></p></div>`
  const { from, to } = search.conditions
  const chosen = search.tags === EVERY_TAG ? tags : tags.filter((tag) => search.tags.includes(tag))
  const [unknown, last, files] = await Promise.all([
    search.tags === EVERY_TAG || tagsAllowed(c.get('caller'), 'read') !== EVERY_TAG
      ? null
      : unknownTag(database, search.tags),
    lastRuns(database, chosen, now()),
    from !== undefined && from === to
      ? Promise.all(chosen.map((tag) => arrivedFilesOf(database, { tag, runNumber: from })))
      : [],
  ])
  const arrived = files.flat()
  return html`<div class="notice"><p><strong>No run matches ${filters.length === 1 ? 'this filter' : `these ${filters.length} filters`}.</strong> Remove one of them above, or <a href="/runs">show all runs</a>.</p>
${unknown === null ? NOTHING : html`<p>${capitalized(unknown)}.</p>`}
${arrived.length === 0 ? NOTHING : html`<p>Files of this number were reported and are not catalogued:</p><ul>${chosen.flatMap((tag, index) => ((files[index]?.length ?? 0) === 0 ? [] : [html`<li><a href="${runPath({ tag, runNumber: from ?? 0 })}">run ${from} of ${tag}</a>: ${arrivedFilesText(files[index]?.[0] as ArrivedFile)}</li>`]))}</ul>`}
${last.length === 0 ? NOTHING : html`<p>Last ${last.length === 1 ? 'run' : 'runs'}: ${last.map(({ run, at }, index) => html`${index === 0 ? '' : ', '}<a href="${runPath(run)}">${run.tag} ${run.runNumber}</a> (${ageOf(at, now())} ago)`)}</p>`}</div>`
}

const chooseColumn: Column<ListedRun> = {
  head: html`<span class="unseen">Choose</span>`,
  cell: (run) =>
    html`<label><input type="checkbox" name="run" value="${chosenValue({ tag: run.tag, runNumber: run.runNumber })}" aria-label="Choose run ${run.runNumber} of ${run.tag}"></label>`,
}

/** How many of the chosen columns a phone shows: by default start, state and tape. */
const CARD_COLUMNS = 3

const onCard = (column: Column<ListedRun>, name: string, card: number): Column<ListedRun> => ({
  ...column,
  card,
  ...(SELF_EXPLAINING.includes(name) ? {} : { cardHead: headOf(name) }),
})

/** Columns whose cells need no head on a card. */
const SELF_EXPLAINING = ['start', 'state', 'description', 'problem']

function columnsOf(address: URLSearchParams, asked: RunsPageQuery): readonly Column<ListedRun>[] {
  const run: Column<ListedRun> = {
    heads: true,
    head: 'Run',
    numeric: true,
    cell: (run) =>
      html`<a href="${runPath({ tag: run.tag, runNumber: run.runNumber })}">${run.runNumber}</a>`,
  }
  const tag: Column<ListedRun> = { head: 'Tag', card: 0, cell: ({ tag }) => tag }
  const chosen = asked.columns.map((name, index) => {
    const column = sortable(columnOf(name), name, address, asked)
    return index < CARD_COLUMNS ? onCard(column, name, index + 1) : column
  })
  return [sortable(run, 'run', address, asked), tag, ...chosen]
}

/** Adds a link to the heading that sorts by the column, or reverses the order. */
function sortable(
  column: Column<ListedRun>,
  name: string,
  address: URLSearchParams,
  { search }: RunsPageQuery,
): Column<ListedRun> {
  const order = RUN_ORDERS.find((known) => known === name)
  if (order === undefined) return column
  const isOrder = search.order.by === order
  const isDown = isOrder && search.order.descending
  const arrow = isOrder ? html` <span aria-hidden="true">${isDown ? '▾' : '▴'}</span>` : NOTHING
  return {
    ...column,
    head: html`<a href="${addressWith(address, { sort: isDown ? order : `-${order}`, cursor: null })}">${column.head}${arrow}</a>`,
    sort: isOrder ? (isDown ? 'descending' : 'ascending') : undefined,
  }
}

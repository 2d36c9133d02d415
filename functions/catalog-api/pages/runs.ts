/** Runs: the table for finding runs and requesting links to them. */
import { html } from 'hono/html'
import { tagsAllowed } from '../../../shared/access/caller.ts'
import type { Context } from '../../../shared/context.ts'
import type { Run } from '../../../shared/database/schema.ts'
import { RUN_ORDERS } from '../../../shared/queries/run-conditions.ts'
import { SearchTooLongError, searchRuns } from '../../../shared/queries/search-runs.ts'
import { tagsWithRuns } from '../../../shared/queries/site-state.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'
import { apiSnippets } from './api-snippets.ts'
import { counted } from './format.ts'
import { csrfField, renderPage } from './layout.ts'
import { csrfTokenOf, originOf, type PageOptions } from './options.ts'
import { type Column, type Html, NOTHING, runPath, table } from './parts.ts'
import { chosenValue, fromField } from './run-links.ts'
import { columnOf } from './runs-columns.ts'
import { runsForm } from './runs-form.ts'
import {
  addressWith,
  apiQuery,
  canonicalAddress,
  nextAddress,
  parseRunsPage,
  type RunsPageQuery,
} from './runs-query.ts'

export function registerRuns(api: Api, context: Context<'database'>, options: PageOptions): void {
  addPage(api, 'GET', '/runs', { right: 'read', anyTag: true }, async (c) => {
    const address = new URL(c.req.url).searchParams
    const canonical = canonicalAddress(address)
    if (String(canonical) !== String(address)) return c.redirect(addressWith(canonical, {}), 302)
    const visible = tagsAllowed(c.get('caller'), 'read')
    const tags = await tagsWithRuns(context.database, visible)
    const page = (results: Html, status: 200 | 400) =>
      renderPage(c, options, {
        title: 'Runs',
        status,
        scripts: ['live.js', 'runs.js'],
        body: html`<div class="title"><h1>Runs</h1><p class="live" role="status" data-live-status></p></div>\n${runsForm(address, tags)}\n${results}`,
      })
    const parsed = parseRunsPage(address, visible)
    if ('problems' in parsed) return page(problems(parsed.problems), 400)
    try {
      return page(await results(c, { context, options, address, request: parsed.query }), 200)
    } catch (error) {
      if (error instanceof SearchTooLongError) return page(problems([error.message]), 400)
      throw error
    }
  })
}

const problems = (sentences: readonly string[]): Html =>
  html`<div class="notice bad" role="alert">${sentences.map((sentence) => html`<p>${sentence}</p>`)}</div>`

interface RunsRequest {
  readonly context: Context<'database'>
  readonly options: PageOptions
  readonly address: URLSearchParams
  readonly request: RunsPageQuery
}

async function results(c: ApiContext, { context, options, address, request }: RunsRequest): Promise<Html> {
  const { runs, next } = await searchRuns(context.database, request.search)
  const mayLink = tagsAllowed(c.get('caller'), 'link').length > 0
  const found = table<Run>({
    id: 'runs',
    caption: `${counted(runs.length, 'run')}${next === null ? '' : ', more on the next page'}`,
    rows: runs,
    empty: 'No run matches.',
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
${found}
<div class="below">${mayLink && runs.length > 0 ? links : NOTHING}<nav aria-label="Pages of the table">${first}${further}</nav></div>
</form>
${apiSnippets(originOf(c, context), '/api/v1/runs', apiQuery(address))}`
}

const chooseColumn: Column<Run> = {
  head: html`<span class="unseen">Choose</span>`,
  cell: (run) =>
    html`<input type="checkbox" name="run" value="${chosenValue({ tag: run.tag, runNumber: run.runNumber })}" aria-label="Choose run ${run.runNumber} of ${run.tag}">`,
}

function columnsOf(address: URLSearchParams, asked: RunsPageQuery): readonly Column<Run>[] {
  const run: Column<Run> = {
    heads: true,
    head: 'Run',
    numeric: true,
    cell: (run) =>
      html`<a href="${runPath({ tag: run.tag, runNumber: run.runNumber })}">${run.runNumber}</a>`,
  }
  const tag: Column<Run> = { head: 'Tag', cell: ({ tag }) => tag }
  const chosen = asked.columns.map((name) => sortable(columnOf(name), name, address, asked))
  return [sortable(run, 'run', address, asked), tag, ...chosen]
}

/** Adds a link to the heading that sorts by the column, or reverses the order. */
function sortable(
  column: Column<Run>,
  name: string,
  address: URLSearchParams,
  { search }: RunsPageQuery,
): Column<Run> {
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

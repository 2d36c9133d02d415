/** The page of one run: verdict, links, what it is, where it is, what happened; the details are folded. */
import { html } from 'hono/html'
import { mayDo } from '../../../shared/access/caller.ts'
import type { Context } from '../../../shared/context.ts'
import type { Run } from '../../../shared/database/schema.ts'
import type { Alert } from '../../../shared/queries/alerts.ts'
import { neighboursOf } from '../../../shared/queries/neighbours.ts'
import { describeRun, findRuns } from '../../../shared/queries/runs.ts'
import { LARGEST_RUN_NUMBER, type RunId } from '../../../shared/run.ts'
import { LIST_COMMANDS } from '../api/link-lists.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'
import { alertList } from './alert-list.ts'
import { apiSnippets, shellQuoted } from './api-snippets.ts'
import { capitalized } from './format.ts'
import { csrfField, renderPage } from './layout.ts'
import { logSection } from './log-section.ts'
import { csrfTokenOf, originOf, type PageOptions } from './options.ts'
import { agoOf, copyable, type Html, mark, NOTHING, runPath } from './parts.ts'
import { pythonPath } from './python.ts'
import { allParameters, beginText, whatItIs } from './run-conditions.ts'
import { whereItIs } from './run-copies.ts'
import { filesSection } from './run-files.ts'
import { runHeading } from './run-heading.ts'
import { historySection } from './run-history.ts'
import { chosenValue, fromField } from './run-links.ts'
import { statisticsSection } from './run-statistics.ts'
import { type Finding, runVerdict } from './run-verdict.ts'
import { unknownRun } from './unknown-run.ts'
import { useElsewhere } from './use-elsewhere.ts'

export function registerRun(api: Api, context: Context<'database'>, options: PageOptions): void {
  addPage(
    api,
    'GET',
    '/runs/:tag/:run',
    { right: 'read', tagOf: (c) => c.req.param('tag') ?? '' },
    async (c) => {
      const { tag, run: number } = c.req.param() as { readonly tag: string; readonly run: string }
      if (!/^\d{1,10}$/.test(number) || Number(number) > LARGEST_RUN_NUMBER)
        throw refusal(404, 'this is not a run number')
      const runNumber = Number(number)
      const now = context.now()
      const uses = await findRuns(context.database, { tag, runNumber })
      if (uses.length === 0) return await unknownRun(c, context, options, { tag, runNumber })
      const request = c.req.query('use')
      const run = request === undefined ? uses[0] : uses.find((use) => String(use.id) === request)
      if (run === undefined) throw refusal(404, `run ${runNumber} of ${tag} has no such generation`)
      const [details, neighbours, logs] = await Promise.all([
        describeRun(context.database, run),
        neighboursOf(context.database, { tag, runNumber }, now),
        logSection(c, options, { tag, runNumber }),
      ])
      const before =
        neighbours.before === null
          ? null
          : ((await findRuns(context.database, { tag, runNumber: neighbours.before }))[0] ?? null)
      const period = { scrubDays: context.config.scrub.days, now }
      const body = html`${runHeading({ tag, runNumber }, neighbours)}
<div data-live="${tag}/${runNumber}">
${generationsNote(run, uses)}
<div class="answer">${verdictList(runVerdict(details, period), now)}
${getMenu(c, context, options, run)}
${useElsewhere({ id: 'run', origin: originOf(c, context), lists: listsOfRun({ tag, runNumber }) })}</div>
<div class="cards">
${whatItIs(details, before, now)}
${whereItIs(details, period)}
${alertsSection(details.alerts, now)}
${historySection(details, now)}
</div>
${allParameters(run, before)}
${statisticsSection(details)}
${filesSection(details, period)}
${logs}
</div>`
      return renderPage(c, options, {
        title: `Run ${runNumber} of ${tag}`,
        body,
        scripts: ['live.js'],
        styles: ['cards.css'],
      })
    },
  )
}

/** The file of each, since the run is on the page. */
const alertsSection = (alerts: readonly Alert[], now: Date): Html =>
  alerts.length === 0
    ? NOTHING
    : html`<section class="card" aria-labelledby="alerts-heading"><h2 id="alerts-heading">Alerts</h2>${alertList(alerts, now, ({ key }) => html`${key ?? ''}`)}</section>`

/** The lists of its page for programs. */
function listsOfRun({ tag, runNumber }: RunId) {
  const query = { tag, from: String(runNumber), to: String(runNumber) }
  return [
    { what: 'the run with its parameters', path: '/api/v1/runs', query },
    { what: 'its files with their checksums', path: '/api/v1/files', query },
    { what: 'its copies', path: '/api/v1/copies', query },
    { what: 'its recalls', path: '/api/v1/recalls', query },
    { what: 'what happened to it', path: '/api/v1/history', query },
    { what: 'the objects that were reported', path: '/api/v1/arrivals', query },
  ] as const
}

/** Run numbers are sometimes reused. */
function generationsNote(run: Run, uses: readonly Run[]): Html {
  if (uses.length < 2) return NOTHING
  return html`<div class="notice"><p>This number was used ${uses.length} times:</p><ul>${uses.map((use) => {
    const path = use.isCurrent ? runPath({ tag: use.tag, runNumber: use.runNumber }) : `?use=${use.id}`
    return html`<li><a href="${path}"${use.id === run.id ? html` aria-current="page"` : ''}>started ${beginText(use)}</a>${use.isCurrent ? ' (current)' : ''}</li>`
  })}</ul></div>`
}

const verdictList = (findings: readonly Finding[], now: Date): Html =>
  html`<ul class="verdict" aria-label="Verdict">${findings.map(
    ({ tone, what, reason, nextAttemptAt: next, verifiedAt: verified }) =>
      html`<li class="${tone}"><strong>${mark(tone, capitalized(what))}</strong>${reason === null ? NOTHING : html` <span class="reason">${reason}</span>`}${next === null ? NOTHING : html` <span class="quiet">tried again ${agoOf(next, now)}</span>`}${verified === null ? NOTHING : html` <span class="quiet">verified there ${agoOf(verified, now)}</span>`}</li>`,
  )}</ul>`

/** Links by one click, and the same for programs. */
function getMenu(c: ApiContext, context: Context, options: PageOptions, run: Run): Html {
  if (!run.isCurrent || run.firstFileAt === null || !mayDo(c.get('caller'), 'link', run.tag)) return NOTHING
  const name = { tag: run.tag, runNumber: run.runNumber }
  const path = `/api/v1${runPath(name)}/links`
  const command = copyable(
    'as-cygnet',
    'The command cygnet: resumes, and compares the checksums',
    `cygnet get ${run.runNumber} --tag ${shellQuoted(run.tag)}`,
  )
  const list = copyable(
    'as-wget',
    'wget, from a list of links that expire',
    `curl -sS -H "Authorization: Bearer $CYGNET_API_TOKEN" ${shellQuoted(`${originOf(c, context)}${path}?format=wget`)} > links.txt\n${LIST_COMMANDS.wget}`,
  )
  return html`<div class="get"><form method="post" action="/runs/links">${csrfField(csrfTokenOf(c, options))}${fromField(runPath(name))}
<input type="hidden" name="run" value="${chosenValue(name)}"><button class="main">Get links</button></form>
${apiSnippets(originOf(c, context), path, new URLSearchParams(), { python: pythonPath(name), more: html`${command}${list}`, summary: 'Get by command, curl, Python or wget' })}</div>`
}

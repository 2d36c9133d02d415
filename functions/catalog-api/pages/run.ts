/** The page of one run: summary, files, copies, history. */
import { html } from 'hono/html'
import { mayDo } from '../../../shared/access/caller.ts'
import type { Context } from '../../../shared/context.ts'
import type { Run } from '../../../shared/database/schema.ts'
import { EVENT_TRIGGER } from '../../../shared/midas/format.ts'
import { neighboursOf } from '../../../shared/queries/neighbours.ts'
import { describeRun, findRuns, type RunDetails } from '../../../shared/queries/runs.ts'
import { LARGEST_RUN_NUMBER, type RunId } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'
import { apiSnippets } from './api-snippets.ts'
import { bytes, count, counted, duration } from './format.ts'
import { csrfField, renderPage } from './layout.ts'
import { logSection } from './log-section.ts'
import { csrfTokenOf, originOf, type PageOptions } from './options.ts'
import { facts, type Html, mark, NOTHING, runPath, timeOf } from './parts.ts'
import { pythonPath } from './python.ts'
import { copiesSection } from './run-copies.ts'
import { filesSection } from './run-files.ts'
import { runHeading } from './run-heading.ts'
import { historySection } from './run-history.ts'
import { chosenValue, fromField } from './run-links.ts'
import { cloudMark, runMark, tapeMarkOf } from './run-marks.ts'
import { parametersSection } from './run-parameters.ts'
import { statisticsSection } from './run-statistics.ts'
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
      const uses = await findRuns(context.database, { tag, runNumber })
      if (uses.length === 0) return await unknownRun(c, context, options, { tag, runNumber })
      const request = c.req.query('use')
      const run = request === undefined ? uses[0] : uses.find((use) => String(use.id) === request)
      if (run === undefined) throw refusal(404, `run ${runNumber} of ${tag} has no such generation`)
      const [details, neighbours, logs] = await Promise.all([
        describeRun(context.database, run),
        neighboursOf(context.database, { tag, runNumber }),
        logSection(c, options, { tag, runNumber }),
      ])
      const body = html`${runHeading({ tag, runNumber }, neighbours)}
<div data-live="${tag}/${runNumber}">
${generationsNote(run, uses)}
${summary(details)}
${linksForm(c, context, options, run)}
<div class="halves">
${parametersSection(run)}
${statisticsSection(details)}
</div>
${reconstructionSection(details)}
${filesSection(details)}
${copiesSection(details)}
${historySection(details)}
${logs}
</div>
${useElsewhere({ id: 'run', origin: originOf(c, context), lists: listsOfRun({ tag, runNumber }) })}`
      return renderPage(c, options, { title: `Run ${runNumber} of ${tag}`, body, scripts: ['live.js'] })
    },
  )
}

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
    return html`<li><a href="${path}"${use.id === run.id ? html` aria-current="page"` : ''}>started ${timeOf(use.startedAt)}</a>${use.isCurrent ? ' (current)' : ''}</li>`
  })}</ul></div>`
}

function summary({ run, storage, events, replicas }: RunDetails): Html {
  const { startedAt: started, stoppedAt: stopped } = run
  const awaited = run.firstFileAt === null
  const triggers = events.find(({ eventId }) => eventId === EVENT_TRIGGER)
  return html`<section aria-labelledby="summary"><h2 id="summary" class="unseen">Summary</h2>
${run.description ? html`<p class="description">${run.description}</p>` : NOTHING}
${run.problem === null ? NOTHING : html`<p class="problem">${run.problem}</p>`}
${facts([
  ['State', runMark(run)],
  ['Started', timeOf(started)],
  ['Stopped', timeOf(stopped)],
  ['Length', started === null || stopped === null ? null : duration(started, stopped)],
  ['Triggers', triggers === undefined ? null : count(triggers.events)],
  ['MIDAS events, all ids', awaited ? null : count(run.eventCount)],
  ['Size', awaited ? null : `${bytes(run.sizeBytes)} in ${counted(run.fileCount, 'file')}`],
  ['Pedestal', run.pedestal === null ? null : run.pedestal === true ? 'yes' : 'no'],
  ['Store', cloudMark(storage.cloud)],
  ['Tape', tapeMarkOf(storage.tape, replicas)],
  ['DAQ disk', storage.local],
  ['Checksums', awaited ? null : run.integrity],
  ['Catalogued', timeOf(run.cataloguedAt)],
])}</section>`
}

function linksForm(c: ApiContext, context: Context, options: PageOptions, run: Run): Html {
  if (!run.isCurrent || run.firstFileAt === null || !mayDo(c.get('caller'), 'link', run.tag)) return NOTHING
  const name = { tag: run.tag, runNumber: run.runNumber }
  const links = `/api/v1${runPath(name)}/links`
  return html`<form method="post" action="/runs/links" class="actions">${csrfField(csrfTokenOf(c, options))}${fromField(runPath(name))}
<input type="hidden" name="run" value="${chosenValue(name)}"><button class="main">Get links</button></form>
${apiSnippets(originOf(c, context), links, new URLSearchParams(), pythonPath(name))}`
}

/** Will show plots and a quality verdict; until then, the state of the request for a reconstruction. */
function reconstructionSection({ requests, history }: RunDetails): Html {
  const asked = requests.find(({ queue }) => queue === 'reco-requests')
  const declined = history.findLast(({ what }) => what === 'reconstruction not asked for')
  const state =
    asked !== undefined
      ? html`${mark('waiting', 'requested')} ${timeOf(asked.createdAt)}: plots and a verdict appear here when it is done.`
      : html`${mark('none', 'not requested')}${declined === undefined ? '' : `: ${declined.detail}`}`
  return html`<section aria-labelledby="reconstruction"><h2 id="reconstruction">Reconstruction and quality</h2>
<p>${state}</p></section>`
}

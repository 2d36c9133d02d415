/**
 * The page of a run that is not catalogued, to which alerts and dead letters may link: the recorded arrivals
 * of its files.
 */
import { html } from 'hono/html'
import { mayDo } from '../../../shared/access/caller.ts'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import type { Context } from '../../../shared/context.ts'
import type { ArrivalState } from '../../../shared/database/schema.ts'
import { neighboursOf } from '../../../shared/queries/neighbours.ts'
import {
  type ArrivedFile,
  arrivedFilesOf,
  notCataloguedText,
} from '../../../shared/queries/not-catalogued.ts'
import type { RunId } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import type { ApiContext } from '../http/route.ts'
import { shellQuoted } from './api-snippets.ts'
import { counted } from './format.ts'
import { renderPage } from './layout.ts'
import { logSection } from './log-section.ts'
import type { PageOptions } from './options.ts'
import { copyable, type Html, mark, NOTHING, runPath, type Tone, table, whenOf } from './parts.ts'
import { wantsPage } from './problem-pages.ts'
import { runHeading } from './run-heading.ts'

/** @throws a 404 problem with the same contents if the client is a program. */
export async function unknownRun(
  c: ApiContext,
  { database, now }: Context<'database'>,
  options: PageOptions,
  run: RunId,
) {
  const files = await arrivedFilesOf(database, run)
  if (!wantsPage(c)) throw refusal(404, notCataloguedText(run, files))
  const [neighbours, logs] = await Promise.all([
    neighboursOf(database, run, now()),
    logSection(c, options, run),
  ])
  const body = html`${runHeading(run, neighbours)}
<div data-live="${run.tag}/${run.runNumber}">
${files.length === 0 ? noFiles : ledger(run.tag, files, now())}
${advice(c, run, files)}
${logs}
</div>`
  // A title of its own: the script reloads the page when the run is catalogued.
  return renderPage(c, options, {
    title: `Run ${run.runNumber} of ${run.tag} is not catalogued`,
    status: 404,
    body,
    scripts: ['live.js'],
    styles: ['cards.css'],
  })
}

const noFiles = html`<div class="notice"><p><strong>Not in the catalogue, and no file of this run has been reported.</strong></p>
<p>Its file has not been stored yet, or the notification was lost; the store is searched for such files every few minutes. This page shows the run when it is catalogued.</p></div>`

/** For the latest file, which the alert or dead letter was about. */
const HEADLINES: Readonly<Record<ArrivalState, readonly [tone: 'bad' | '', sentence: string]>> = {
  received: ['', 'Not in the catalogue yet: a file of this run has arrived and is waiting to be read.'],
  processing: ['', 'Not in the catalogue yet: a file of this run is being read.'],
  done: ['', 'Not in the catalogue: all reported files were processed, and none was a run of this number.'],
  invalid: ['bad', 'Not in the catalogue: its file was refused. It stays in the store unchanged.'],
  failed: ['bad', 'Not in the catalogue: reading its file failed repeatedly.'],
}

const STATES: Readonly<Record<ArrivalState, readonly [Tone, string]>> = {
  received: ['waiting', 'waits'],
  processing: ['moving', 'being read'],
  done: ['none', 'done'],
  invalid: ['bad', 'refused'],
  failed: ['bad', 'failed'],
}

const OUTCOMES = {
  catalogued: 'catalogued',
  superseded: 'replaced by a newer one',
  gone: 'deleted from the store',
  suspicious: 'other bytes than those that were catalogued',
} as const

function ledger(tag: string, files: readonly ArrivedFile[], now: Date): Html {
  const [tone, sentence] = HEADLINES[files[0]?.state ?? 'done']
  const why = files.length === 1 ? files[0]?.reason : null
  return html`<div class="notice ${tone}"><p><strong>${sentence}</strong></p>${why ? html`<p>${why}</p>` : NOTHING}</div>
<section aria-labelledby="heard"><h2 id="heard">Reported files</h2>
${table<ArrivedFile>({
  id: 'heard-table',
  caption: 'Newest first',
  cards: true,
  rows: files,
  empty: '',
  columns: [
    {
      head: 'File',
      heads: true,
      cell: ({ bucket, key }) => html`<code class="address">${bucket}/${key}</code>`,
    },
    { head: 'State', prose: files.length > 1, cell: (file) => stateOf(tag, file, files.length > 1) },
    { head: 'Since', cell: ({ since }) => whenOf(since, now) },
  ],
})}</section>`
}

const stateOf = (
  tag: string,
  { state, outcome, attempts, reason, cataloguedAs }: ArrivedFile,
  isOneOfMany: boolean,
): Html =>
  html`${mark(...STATES[state])}${outcome === null ? NOTHING : html`: ${OUTCOMES[outcome]}`}${cataloguedAs === null ? NOTHING : html` as <a href="${runPath({ tag, runNumber: cataloguedAs })}">run ${cataloguedAs}</a>, the number in its begin-of-run event`}${attempts === 0 ? NOTHING : html`, ${counted(attempts, 'attempt')}`}${isOneOfMany && reason !== null ? html`<br>${reason}` : NOTHING}`

/** The action to take, for callers who may take it. */
function advice(c: ApiContext, { tag, runNumber }: RunId, files: readonly ArrivedFile[]): Html {
  if (!mayDo(c.get('caller'), 'operate', tag))
    return files.some(isStuck) ? html`<p class="quiet">Operators can start another attempt.</p>` : NOTHING
  const letters = mayDo(c.get('caller'), 'operate', EVERY_TAG)
    ? html`<p>Its message may be among the <a href="/queues#dead-runs">dead letters</a>.</p>`
    : NOTHING
  const [label, command] =
    files.length === 0
      ? ['To search the store now', `cygnet reconcile --prefix ${shellQuoted(`${tag}/`)}`]
      : [
          'To try again, once the cause is fixed',
          `cygnet replay --run ${runNumber} --tag ${shellQuoted(tag)} --yes`,
        ]
  return html`${files[0]?.state === 'failed' ? letters : NOTHING}${copyable('what-to-do', label, command)}`
}

const isStuck = ({ state }: ArrivedFile) => state === 'failed' || state === 'invalid'

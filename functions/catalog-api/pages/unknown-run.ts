/**
 * A run that is not in the catalogue, to which alerts and dead letters lead all the same: what the ledger
 * knows of its files.
 */
import { html } from 'hono/html'
import { mayDo } from '../../../shared/access/caller.ts'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import type { Context } from '../../../shared/context.ts'
import type { ArrivalState } from '../../../shared/database/schema.ts'
import { neighboursOf } from '../../../shared/queries/neighbours.ts'
import { type HeardFile, heardOfRun, notCataloguedText } from '../../../shared/queries/not-catalogued.ts'
import type { RunId } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import type { ApiContext } from '../http/route.ts'
import { shellQuoted } from './api-snippets.ts'
import { counted } from './format.ts'
import { renderPage } from './layout.ts'
import { logSection } from './log-section.ts'
import type { PageOptions } from './options.ts'
import { copyable, type Html, mark, NOTHING, runPath, type Tone, table, timeOf } from './parts.ts'
import { wantsPage } from './problem-pages.ts'
import { runHeading } from './run-heading.ts'

/** @throws a 404 problem with the same contents for a program. */
export async function unknownRun(
  c: ApiContext,
  { database }: Context<'database'>,
  options: PageOptions,
  run: RunId,
) {
  const heard = await heardOfRun(database, run)
  if (!wantsPage(c)) throw refusal(404, notCataloguedText(run, heard))
  const [neighbours, logs] = await Promise.all([neighboursOf(database, run), logSection(c, options, run)])
  const body = html`${runHeading(run, neighbours)}
<div data-live="${run.tag}/${run.runNumber}">
${heard.length === 0 ? neverHeard : ledger(run.tag, heard)}
${advice(c, run, heard)}
${logs}
</div>`
  // A title of its own: the script loads the page anew once the run is there.
  return renderPage(c, options, {
    title: `Run ${run.runNumber} of ${run.tag} is not catalogued`,
    status: 404,
    body,
    scripts: ['live.js'],
  })
}

const neverHeard = html`<div class="notice"><p><strong>Not in the catalogue, and nobody has told of a file of it.</strong></p>
<p>It was not put into the store (yet), or the message about it was lost: the store is searched for such files every few minutes. This page shows the run once it is there.</p></div>`

/** Of the latest file, which is what the alert or the dead letter was about. */
const HEADLINES: Readonly<Record<ArrivalState, readonly [tone: 'bad' | '', sentence: string]>> = {
  received: ['', 'Not in the catalogue yet: a file of it has arrived and waits to be read.'],
  processing: ['', 'Not in the catalogue yet: a file of it is being read.'],
  done: [
    '',
    'Not in the catalogue: what was heard of its files has been dealt with, and made no run of this number.',
  ],
  invalid: ['bad', 'Not in the catalogue: its file was refused. It stays in the store as it is.'],
  failed: ['bad', 'Not in the catalogue: reading its file was given up.'],
}

const STATES: Readonly<Record<ArrivalState, readonly [Tone, string]>> = {
  received: ['waiting', 'waits'],
  processing: ['moving', 'being read'],
  done: ['none', 'done'],
  invalid: ['bad', 'refused'],
  failed: ['bad', 'given up'],
}

const OUTCOMES = {
  catalogued: 'catalogued',
  superseded: 'replaced by a newer one',
  gone: 'gone from the store',
} as const

function ledger(tag: string, heard: readonly HeardFile[]): Html {
  const [tone, sentence] = HEADLINES[heard[0]?.state ?? 'done']
  const why = heard.length === 1 ? heard[0]?.reason : null
  return html`<div class="notice ${tone}"><p><strong>${sentence}</strong></p>${why ? html`<p>${why}</p>` : NOTHING}</div>
<section aria-labelledby="heard"><h2 id="heard">Heard of its files</h2>
${table<HeardFile>({
  id: 'heard-table',
  caption: 'By the ledger, the latest first',
  rows: heard,
  empty: '',
  columns: [
    {
      head: 'File',
      heads: true,
      cell: ({ bucket, key }) => html`<code class="address">${bucket}/${key}</code>`,
    },
    { head: 'State', prose: heard.length > 1, cell: (file) => stateOf(tag, file, heard.length > 1) },
    { head: 'Since (UTC)', cell: ({ since }) => timeOf(since) },
  ],
})}</section>`
}

const stateOf = (
  tag: string,
  { state, outcome, attempts, reason, cataloguedAs }: HeardFile,
  isOneOfMany: boolean,
): Html =>
  html`${mark(...STATES[state])}${outcome === null ? NOTHING : html`: ${OUTCOMES[outcome]}`}${cataloguedAs === null ? NOTHING : html` as <a href="${runPath({ tag, runNumber: cataloguedAs })}">run ${cataloguedAs}</a>, the number in its begin of run`}${attempts === 0 ? NOTHING : html`, ${counted(attempts, 'try', 'tries')}`}${isOneOfMany && reason !== null ? html`<br>${reason}` : NOTHING}`

/** What is done about it, by who may. */
function advice(c: ApiContext, { tag, runNumber }: RunId, heard: readonly HeardFile[]): Html {
  if (!mayDo(c.get('caller'), 'operate', tag))
    return heard.some(isStuck) ? html`<p class="quiet">Operators can have it tried again.</p>` : NOTHING
  const letters = mayDo(c.get('caller'), 'operate', EVERY_TAG)
    ? html`<p>Its message may be among the <a href="/queues#dead-runs">dead letters</a>.</p>`
    : NOTHING
  const [label, command] =
    heard.length === 0
      ? ['To search the store for it at once', `cygnet reconcile --prefix ${shellQuoted(`${tag}/`)}`]
      : [
          'To have it tried again, once the cause is gone',
          `cygnet replay --run ${runNumber} --tag ${shellQuoted(tag)} --yes`,
        ]
  return html`${heard[0]?.state === 'failed' ? letters : NOTHING}${copyable('what-to-do', label, command)}`
}

const isStuck = ({ state }: HeardFile) => state === 'failed' || state === 'invalid'

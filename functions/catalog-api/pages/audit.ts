/** For operators: who used which right on what, the newest first. */
import { html } from 'hono/html'
import { listUses } from '../../../shared/access/audit.ts'
import type { AuditedUse } from '../../../shared/access/schema.ts'
import type { Context } from '../../../shared/context.ts'
import { cutList } from '../../../shared/text.ts'
import { type Api, addPage } from '../http/route.ts'
import { renderPage } from './layout.ts'
import type { PageOptions } from './options.ts'
import { type Html, mark, NOTHING, table, timeOf } from './parts.ts'

const SHOWN = 100

export function registerAuditPage(api: Api, context: Context<'database'>, options: PageOptions): void {
  addPage(api, 'GET', '/audit', { right: 'operate', everyTag: true }, async (c) => {
    const subject = (c.req.query('subject') ?? '').slice(0, 300)
    const before = Number(/^\d{1,15}$/.exec(c.req.query('before') ?? '')?.[0] ?? Number.NaN)
    const uses = await listUses(context.database, {
      limit: SHOWN + 1,
      ...(subject === '' ? {} : { subject }),
      ...(Number.isNaN(before) ? {} : { before }),
    })
    const shown = uses.slice(0, SHOWN)
    const older = uses.length > SHOWN ? shown.at(-1)?.id : undefined
    const body = html`<div class="title"><h1>Audit</h1><nav aria-label="Audit">${subject === '' ? NOTHING : html`<a href="/audit">Of everybody</a>`} <a href="/tokens">Tokens</a></nav></div>
<p>Every use of a right that changes something${subject === '' ? '' : html`, by <code>${subject}</code>`}. Reading is not listed. Programs read the same at <code>/api/v1/audit</code>.</p>
${table<AuditedUse>({
  id: 'uses',
  caption: 'Uses of rights',
  captionHidden: true,
  rows: shown,
  empty: 'None yet.',
  columns: [
    { head: 'At (UTC)', cell: ({ usedAt }) => timeOf(usedAt) },
    { head: 'Who', heads: true, cell: whoOf },
    { head: 'Right', cell: ({ action }) => action, roomy: true },
    { head: 'On what', prose: true, cell: ({ object }) => folded(object) },
    { head: 'Outcome', prose: true, cell: ({ outcome }) => outcomeOf(outcome) },
    {
      head: 'Request',
      roomy: true,
      cell: ({ requestId }) => html`<code class="quiet">${requestId ?? '–'}</code>`,
    },
  ],
})}
${older === undefined ? NOTHING : html`<p><a href="/audit?${new URLSearchParams({ ...(subject === '' ? {} : { subject }), before: String(older) })}">Older uses</a></p>`}`
    return renderPage(c, options, { title: 'Audit', body })
  })
}

const SHELL = /^shell:.*@/s

/** A user of an operating system may be anybody, so it is shown as such with its host. */
const whoOf = ({ subject, name, tokenId }: AuditedUse): Html =>
  html`<a href="/audit?subject=${encodeURIComponent(subject)}" title="${subject}">${name}</a>${SHELL.test(subject) ? html` <span class="quiet">shell of ${subject.replace(SHELL, '')}</span>` : ''}${tokenId === null ? '' : html` <span class="quiet">token ${tokenId}</span>`}`

/** Long lists of runs are folded. */
const MOST_CHARACTERS = 120
const folded = (object: string): Html =>
  object.length <= MOST_CHARACTERS
    ? html`${object}`
    : html`<details><summary>${cutList(object, MOST_CHARACTERS)}</summary>${object}</details>`

function outcomeOf(outcome: string | null): Html {
  if (outcome === null) return mark('none', 'not known')
  if (outcome.startsWith('partly done')) return mark('waiting', folded(outcome))
  return /^(?:refused|failed|not permitted)/.test(outcome) ? mark('bad', folded(outcome)) : html`${outcome}`
}

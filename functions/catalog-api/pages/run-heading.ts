/** The heading of a run's page, with links to the previous, the next and the latest run of its site. */
import { html } from 'hono/html'
import type { Neighbours } from '../../../shared/queries/neighbours.ts'
import type { RunId } from '../../../shared/run.ts'
import { type Html, NOTHING, runPath } from './parts.ts'

export function runHeading({ tag, runNumber }: RunId, { before, after, latest }: Neighbours): Html {
  const pathOf = (number: number) => runPath({ tag, runNumber: number })
  const isLatest = latest === null || latest === runNumber || latest === after
  return html`<div class="title"><h1>Run ${runNumber} <span class="quiet">of <a href="/runs?tag=${encodeURIComponent(tag)}">${tag}</a></span></h1>
<nav aria-label="Neighbouring runs">${before === null ? NOTHING : html`<a href="${pathOf(before)}" rel="prev">‹ ${before}</a>`}
${after === null ? NOTHING : html`<a href="${pathOf(after)}" rel="next">${after} ›</a>`}
${latest === runNumber ? html`<span class="quiet">latest</span>` : NOTHING}${isLatest ? NOTHING : html`<a href="${pathOf(latest)}">latest ${latest} »</a>`}
<span class="live" role="status" data-live-status></span></nav></div>`
}

/** The heading of a run's page, with links to the previous and the next run. */
import { html } from 'hono/html'
import type { neighboursOf } from '../../../shared/queries/neighbours.ts'
import type { RunId } from '../../../shared/run.ts'
import { type Html, NOTHING, runPath } from './parts.ts'

export function runHeading(
  { tag, runNumber }: RunId,
  { before, after }: Awaited<ReturnType<typeof neighboursOf>>,
): Html {
  const pathOf = (number: number) => runPath({ tag, runNumber: number })
  return html`<div class="title"><h1>Run ${runNumber} <span class="quiet">of <a href="/runs?tag=${encodeURIComponent(tag)}">${tag}</a></span></h1>
<nav aria-label="Neighbouring runs">${before === null ? NOTHING : html`<a href="${pathOf(before)}" rel="prev">‹ ${before}</a>`}
${after === null ? NOTHING : html`<a href="${pathOf(after)}" rel="next">${after} ›</a>`}
<span class="live" role="status" data-live-status></span></nav></div>`
}

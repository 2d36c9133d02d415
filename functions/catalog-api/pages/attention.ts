/** What is broken, in one line at the top of the page Now: to be seen before anything is read. */
import { html } from 'hono/html'
import type { SiteState } from '../../../shared/catalogue/site-state.ts'
import type { QueueState } from '../queue-states.ts'
import { counted } from './format.ts'
import { type Html, mark } from './parts.ts'

interface Trouble {
  readonly what: string
  readonly path: string
}

export function attention(sites: readonly SiteState[], queues: readonly QueueState[]): Html {
  const troubles = [...sites.flatMap(ofSite), ...queues.flatMap(ofQueue)]
  if (troubles.length === 0) return html`<p class="attention">${mark('good', 'nothing is broken')}</p>`
  return html`<ul class="attention bad" aria-label="Broken">
${troubles.map(({ what, path }) => html`<li><a href="${path}">${mark('bad', what)}</a></li>\n`)}
</ul>`
}

function ofSite({ tag, refused, recent, copies }: SiteState): readonly Trouble[] {
  const runs = (condition: string) => `/runs?tag=${encodeURIComponent(tag)}&${condition}`
  const copiesThat = (is: (copy: SiteState['copies'][number]) => boolean) =>
    copies.reduce((sum, copy) => sum + (is(copy) ? copy.count : 0), 0)
  const failed = copiesThat(({ state }) => state === 'failed')
  const doubtful = copiesThat(({ state }) => state === 'suspicious' || state === 'missing')
  const replicas = `/replicas?tag=${encodeURIComponent(tag)}`
  const found: readonly (readonly [count: number, what: string, path: string])[] = [
    [doubtful, `${tag}: ${counted(doubtful, 'copy', 'copies')} suspicious or missing`, replicas],
    [failed, `${tag}: ${counted(failed, 'copy', 'copies')} failed`, replicas],
    [refused, `${tag}: ${counted(refused, 'file')} refused`, '#alerts'],
    [recent.incomplete, `${tag}: ${counted(recent.incomplete, 'run')} not complete`, runs('complete=false')],
  ]
  return found.flatMap(([count, what, path]) => (count === 0 ? [] : [{ what, path }]))
}

function ofQueue({ queue, depth, dead }: QueueState): readonly Trouble[] {
  if (depth === null) return [{ what: `${queue} does not answer`, path: '/queues' }]
  return dead === 0 ? [] : [{ what: `${queue}: ${counted(dead, 'dead letter')}`, path: `/queues#dead-${queue}` }]
}

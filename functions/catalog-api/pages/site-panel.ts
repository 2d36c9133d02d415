/** One site on the page Now. */
import { html } from 'hono/html'
import type { CopiesInState, SiteState } from '../../../shared/catalogue/site-state.ts'
import { bytes, count, counted, cut, duration } from './format.ts'
import { ageOf, type Content, type Html, mark, NOTHING, runPath, type Tone, table } from './parts.ts'
import { runMark } from './run-marks.ts'

/** Of a description; the page of the run has all of it. */
const MOST_CHARACTERS = 300

export function sitePanel(site: SiteState, now: Date): Html {
  const { tag, lastRun, recent } = site
  const id = `site-${encodeURIComponent(tag)}`
  const at = lastRun.started_at ?? lastRun.catalogued_at
  return html`<section class="site" aria-labelledby="${id}">
<h2 id="${id}"><a href="/runs?tag=${encodeURIComponent(tag)}">${tag}</a></h2>
<p class="last"><a class="run" href="${runPath({ tag, runNumber: lastRun.run_number })}"><span class="unseen">Last run </span>${lastRun.run_number}</a>
<span class="ago">${ageOf(at, now)} ago</span></p>
<p>${runMark(lastRun)}${lastRun.pedestal === 1 ? html` <span class="label">pedestal</span>` : ''}</p>
<p class="quiet">${counted(lastRun.event_count, 'event')} · ${bytes(lastRun.size_bytes)}${lasted(lastRun)}</p>
${lastRun.description ? html`<p class="description">${cut(lastRun.description, MOST_CHARACTERS)}</p>` : NOTHING}
${lastRun.problem === null ? NOTHING : html`<p class="problem">${lastRun.problem}</p>`}
<p class="quiet">last day: ${recent.runs === 0 ? 'no run' : `${counted(recent.runs, 'run')}, ${bytes(recent.sizeBytes)}`}${recent.incomplete > 0 ? html`, <a href="/runs?tag=${encodeURIComponent(tag)}&amp;complete=false">${mark('bad', `${count(recent.incomplete)} not complete`)}</a>` : ''}</p>
${moving(site, now, id)}
</section>\n`
}

const lasted = ({ started_at, stopped_at }: SiteState['lastRun']): string =>
  started_at === null || stopped_at === null ? '' : ` · ${duration(started_at, stopped_at)}`

interface Step {
  readonly tone: Tone
  readonly what: string
  readonly live: Content
  readonly backlog: Content
  readonly volume: Content
  readonly oldest: Date | null
}

function moving(site: SiteState, now: Date, id: string): Html {
  const steps = [...arrivals(site), ...copies(site.copies)]
  if (steps.length === 0) return html`<p>${mark('good', 'nothing waits')}</p>`
  return table<Step>({
    id: `${id}-moving`,
    caption: `What waits and moves at ${site.tag}`,
    captionHidden: true,
    rows: steps,
    empty: '',
    columns: [
      { head: 'Stage', heads: true, cell: ({ tone, what }) => mark(tone, what) },
      { head: 'Live', numeric: true, cell: ({ live }) => live },
      { head: 'Backlog', numeric: true, cell: ({ backlog }) => backlog },
      { head: 'Volume', numeric: true, roomy: true, cell: ({ volume }) => volume },
      { head: 'Oldest', numeric: true, cell: ({ oldest }) => (oldest === null ? '–' : ageOf(oldest, now)) },
    ],
  })
}

function arrivals({ arriving, refused }: SiteState): readonly Step[] {
  const steps: Step[] = []
  if (arriving.count > 0)
    steps.push({
      tone: 'moving',
      what: 'being catalogued',
      live: `${count(arriving.count)}${arriving.atLeast ? '+' : ''}`,
      backlog: '–',
      volume: '–',
      oldest: arriving.oldest,
    })
  if (refused > 0) steps.push({ tone: 'bad', what: 'refused (last day)', live: count(refused), backlog: '–', volume: '–', oldest: null })
  return steps
}

/** Copies by what people call it, in the order in which they happen. */
const STAGES: readonly { readonly what: string; readonly tone: Tone; readonly is: (row: CopiesInState) => boolean }[] = [
  { what: 'waits for tape', tone: 'waiting', is: ({ kind, state }) => kind === 'tape' && state === 'requested' },
  { what: 'to tape', tone: 'moving', is: ({ kind, state }) => kind === 'tape' && (state === 'copying' || state === 'submitted') },
  { what: 'on the tape’s disk', tone: 'moving', is: ({ kind, state }) => kind === 'tape' && state === 'staged' },
  { what: 'tape failed', tone: 'bad', is: ({ kind, state }) => kind === 'tape' && state === 'failed' },
  { what: 'back from tape', tone: 'moving', is: ({ kind, state }) => kind === 'recall' && state !== 'failed' },
  { what: 'recall failed', tone: 'bad', is: ({ kind, state }) => kind === 'recall' && state === 'failed' },
  { what: 'suspicious or missing', tone: 'bad', is: ({ state }) => state === 'suspicious' || state === 'missing' },
]

function copies(rows: readonly CopiesInState[]): readonly Step[] {
  return STAGES.flatMap(({ what, tone, is }) => {
    const own = rows.filter(is)
    if (own.length === 0) return []
    const sum = (value: (row: CopiesInState) => number) => own.reduce((total, row) => total + value(row), 0)
    const of = (priority: CopiesInState['priority']) => count(sum((row) => (row.priority === priority ? row.count : 0)))
    const oldest = new Date(Math.min(...own.map((row) => row.oldest.getTime())))
    return [{ tone, what, live: of('live'), backlog: of('backlog'), volume: bytes(sum((row) => row.sizeBytes)), oldest }]
  })
}

/** The panel of one site on the page Now. */

import { html } from 'hono/html'
import { TO_TAPE, WRONG } from '../../../shared/catalogue/replica-states.ts'
import type { Run } from '../../../shared/database/schema.ts'
import type { CopiesInState, SiteState } from '../../../shared/queries/site-state.ts'
import { shortened } from '../../../shared/text.ts'
import { siteId } from './attention.ts'
import { bytes, count, counted, duration } from './format.ts'
import { ageOf, type Content, type Html, mark, NOTHING, runPath, type Tone, table, timeOf } from './parts.ts'
import { runMark } from './run-marks.ts'

/** Longest part of a description; the page of the run has the full text. */
const MOST_CHARACTERS = 300

export function sitePanel(site: SiteState, now: Date): Html {
  const { tag, last } = site
  const { run } = last
  const id = siteId(tag)
  return html`<section class="site" aria-labelledby="${id}">
<h2 id="${id}"><a href="/runs?tag=${encodeURIComponent(tag)}">${tag}</a></h2>
<p class="last"><a class="run" href="${runPath({ tag, runNumber: run.runNumber })}"><span class="unseen">Last run </span>${run.runNumber}</a>
<span class="ago">${last.isBegin ? 'started' : 'catalogued'} ${ageOf(last.at, now)} ago <span class="quiet">${timeOf(last.at)} UTC</span></span></p>
<p>${runMark(run)}${run.pedestal === true ? html` <span class="label">pedestal</span>` : ''}</p>
${run.firstFileAt === null ? NOTHING : html`<p class="quiet">${counted(run.eventCount, 'MIDAS event')} · ${bytes(run.sizeBytes)}${lasted(run)}</p>`}
${run.description ? html`<p class="description">${shortened(run.description, MOST_CHARACTERS)}</p>` : NOTHING}
${run.problem === null ? NOTHING : html`<p class="problem">${run.problem}</p>`}
<p class="quiet">catalogued in the last day: ${recentText(site)}</p>
${moving(site, now, id)}
</section>\n`
}

function recentText({ tag, recent }: SiteState): Html {
  const { runs, withProblem, sizeBytes, atLeast } = recent
  if (runs === 0) return html`no run`
  const more = atLeast ? '+' : ''
  const query = new URLSearchParams({ tag, problem: 'any', sort: '-catalogued' })
  return html`${count(runs)}${more} ${runs === 1 ? 'run' : 'runs'}, ${bytes(sizeBytes)}${more}${withProblem > 0 ? html`, <a href="/runs?${query}">${mark('bad', `${count(withProblem)} with open problems`)}</a>` : ''}`
}

const lasted = ({ startedAt, stoppedAt }: Run): string =>
  startedAt === null || stoppedAt === null ? '' : ` · ${duration(startedAt, stoppedAt)}`

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
  if (steps.length === 0) return html`<p>${mark('none', 'nothing in progress')}</p>`
  return table<Step>({
    id: `${id}-moving`,
    caption: `In progress at ${site.tag}`,
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
  if (refused > 0)
    steps.push({
      tone: 'bad',
      what: 'refused (last day)',
      live: count(refused),
      backlog: '–',
      volume: '–',
      oldest: null,
    })
  return steps
}

/** Stages of copies in the order in which they happen. */
const STAGES: readonly {
  readonly what: string
  readonly tone: Tone
  readonly is: (row: CopiesInState) => boolean
}[] = [
  {
    what: 'waiting for tape',
    tone: 'waiting',
    is: ({ kind, state }) => kind === 'tape' && state === 'requested',
  },
  {
    what: 'copying to tape',
    tone: 'moving',
    is: ({ kind, state }) => kind === 'tape' && TO_TAPE.includes(state),
  },
  {
    what: 'on the tape system’s disk',
    tone: 'moving',
    is: ({ kind, state }) => kind === 'tape' && state === 'staged',
  },
  { what: 'tape failed', tone: 'bad', is: ({ kind, state }) => kind === 'tape' && state === 'failed' },
  {
    what: 'recalling from tape',
    tone: 'moving',
    is: ({ kind, state }) => kind === 'recall' && state !== 'failed',
  },
  { what: 'recall failed', tone: 'bad', is: ({ kind, state }) => kind === 'recall' && state === 'failed' },
  {
    what: 'suspicious or missing',
    tone: 'bad',
    is: ({ state }) => WRONG.includes(state),
  },
]

function copies(rows: readonly CopiesInState[]): readonly Step[] {
  return STAGES.flatMap(({ what, tone, is }) => {
    const own = rows.filter(is)
    if (own.length === 0) return []
    const sum = (value: (row: CopiesInState) => number) => own.reduce((total, row) => total + value(row), 0)
    const of = (priority: CopiesInState['priority']) =>
      count(sum((row) => (row.priority === priority ? row.count : 0)))
    const oldest = new Date(Math.min(...own.map((row) => row.oldest.getTime())))
    const failing = sum((row) => row.failing)
    const step = {
      live: of('live'),
      backlog: of('backlog'),
      volume: bytes(sum((row) => row.sizeBytes)),
      oldest,
    }
    return [
      failing === 0
        ? { ...step, tone, what }
        : { ...step, tone: 'bad' as const, what: `${what}, ${count(failing)} failing` },
    ]
  })
}

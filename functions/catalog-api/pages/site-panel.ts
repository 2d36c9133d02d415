/** The panel of one site on the page Now. */

import { html } from 'hono/html'
import { FAILED_OR_WRONG, NOT_ON_MEDIA, TO_TAPE, WRONG } from '../../../shared/catalogue/replica-states.ts'
import type { Run } from '../../../shared/database/schema.ts'
import type { RunsVerified } from '../../../shared/queries/runs-verified.ts'
import { ARRIVAL_HOURS } from '../../../shared/queries/site-arrivals.ts'
import type { CopiesInState, SiteState } from '../../../shared/queries/site-state.ts'
import type { Period } from '../../../shared/queries/verified-now.ts'
import { shortened } from '../../../shared/text.ts'
import { isLateArrival, lateForTape, siteId, untapedText } from './attention.ts'
import { bars } from './bars.ts'
import { bytes, count, counted, duration, spanText } from './format.ts'
import {
  ageOf,
  agoOf,
  type Content,
  fold,
  type Html,
  mark,
  NOTHING,
  runPath,
  type Tone,
  table,
  timeOf,
} from './parts.ts'
import { runMark } from './run-marks.ts'
import { type SiteVerdict, siteVerdict } from './site-verdict.ts'

/** Longest part of a description; the page of the run has the full text. */
const MOST_CHARACTERS = 300

/** Whether the site takes data, since when, and what is usual there. */
export function siteSentence(site: SiteState, now: Date): Html {
  const { tag, last, arrived } = site
  const { activity, tone, isRunning, late } = siteVerdict(site, now)
  const run = html`<a href="${runPath({ tag, runNumber: last.run.runNumber })}">run ${last.run.runNumber}</a>`
  const { lastAt, usualGapMs: gap } = arrived
  const arrival = lastAt === null ? NOTHING : agoOf(lastAt, now)
  const usually = gap === null ? NOTHING : html` Usually a run arrives every ${spanText(gap)}.`
  const [verdict, why] = {
    taking: [
      'is taking data.',
      isRunning ? html`The DAQ began ${run} ${agoOf(last.at, now)}.` : html`Last ${run} arrived ${arrival}.`,
    ],
    unended: [
      'has a run that does not end.',
      html`The DAQ began ${run} ${agoOf(last.at, now)}, and nothing is known of its end.${usually}`,
    ],
    older: ['sends older runs.', html`The last arrived ${arrival}; ${run} was taken ${agoOf(last.at, now)}.`],
    silent: [
      'is silent.',
      html`Last arrival ${arrival}, ${timeOf(lastAt)} (${run}, ${endText(last.run)}).${tone === 'old' ? NOTHING : usually}`,
    ],
    never: ['has sent nothing since it was taken over.', html`Last known ${run}.`],
  }[activity]
  return html`<li class="${tone}"><strong>${mark(tone, html`<a href="#${siteId(tag)}">${tag}</a> ${verdict}`)}</strong> <span class="reason">${why}${awaitedText(late, now)}</span></li>\n`
}

function awaitedText(late: readonly Date[], now: Date): Html {
  const [earliest] = late
  if (earliest === undefined) return NOTHING
  return html` ${late.length === 1 ? 'A run that ended' : `${counted(late.length, 'run')} that ended, the first`} ${agoOf(earliest, now)}${late.length === 1 ? ', has' : ', have'} no file yet.`
}

function endText(run: Run): string {
  if (run.firstFileAt === null) return 'no file yet'
  return run.complete ? 'ended normally' : 'not complete'
}

/** What the marks of runs need. */
export interface RunMarks {
  readonly verifiedOf: RunsVerified
  readonly period: Period
}

export interface PanelTimes {
  readonly now: Date
  /** After this many hours a live run should be on tape. */
  readonly tapeLateHours: number
}

const markOf = (run: Run, { verifiedOf, period }: RunMarks): Html => runMark(run, verifiedOf(run.id), period)

/**
 * The parts have names in the style sheet (cards.css), where later ones have their places: the last picture,
 * and the state of high voltage, gas and camera.
 */
export function sitePanel(site: SiteState, marks: RunMarks & PanelTimes): Html {
  const { now } = marks
  const { tag, last } = site
  const { run } = last
  const id = siteId(tag)
  const { activity, tone, stages } = siteVerdict(site, now)
  // Of a site that has been silent for long, the last run is all there is to see.
  const isResting = activity !== 'taking' && tone === 'old'
  return html`<section class="site" aria-labelledby="${id}">
<h2 id="${id}"><a href="/runs?tag=${encodeURIComponent(tag)}">${tag}</a></h2>
<div class="run-now">
<p class="last"><a class="run" href="${runPath({ tag, runNumber: run.runNumber })}"><span class="unseen">Last run </span>${run.runNumber}</a>
<span class="ago">${last.isBegin ? 'started' : 'catalogued'} ${ageOf(last.at, now)} ago <span class="quiet at">${timeOf(last.at)}</span></span></p>
<p>${markOf(run, marks)}${run.pedestal === true ? html` <span class="label">pedestal run</span>` : ''}</p>
${run.firstFileAt === null ? NOTHING : html`<p class="quiet">${counted(run.eventCount, 'MIDAS event')} · ${bytes(run.sizeBytes)}${lasted(run)}</p>`}
${run.description ? html`<p class="description">${shortened(run.description, MOST_CHARACTERS)}</p>` : NOTHING}
${run.problem === null ? NOTHING : html`<p class="problem">${run.problem}</p>`}
</div>
${isResting ? NOTHING : html`${arrivalRate(site)}\n${pipeline(site, stages, marks)}\n${strip(site, marks)}`}
${moving(site, now, id)}
</section>\n`
}

/** Runs that arrived, hour by hour, and the last hour against the one before. */
function arrivalRate(site: SiteState): Html {
  const { perHour } = site.arrived
  const [before = 0, last = 0] = perHour.slice(-2)
  return html`<div class="rate"><p>${last + before === 0 ? 'No run arrived in the last two hours' : html`<strong>${counted(last, 'run')}</strong> arrived in the last hour, ${count(before)} in the hour before`}</p>
${bars(perHour, `Runs that arrived in each of the last ${ARRIVAL_HOURS} hours; most in an hour: ${Math.max(...perHour)}`)}
<p class="axis quiet" aria-hidden="true"><span>${ARRIVAL_HOURS} h ago</span><span>runs an hour, most ${count(Math.max(...perHour))}</span><span>now</span></p>
<p class="quiet">catalogued in the last day: ${recentText(site)}</p></div>`
}

interface Stage {
  readonly name: string
  readonly tone: Tone
  readonly text: Content
}

/** The way of the data, with what waits at each stage and for how long. */
function pipeline(
  { last, latest, arrived, arriving, refused, copies, untaped }: SiteState,
  { daq, store }: SiteVerdict['stages'],
  { now, tapeLateHours }: PanelTimes,
): Html {
  const { run } = last
  const onTheWay = copies.filter(({ kind, state }) => kind === 'tape' && NOT_ON_MEDIA.includes(state))
  const total = (rows: readonly CopiesInState[], value: (row: CopiesInState) => number) =>
    rows.reduce((sum, row) => sum + value(row), 0)
  const wrong = copies.filter(({ state }) => FAILED_OR_WRONG.includes(state))
  const waiting = total(onTheWay, (row) => row.count)
  const failing = total(onTheWay, (row) => row.failing) + total(wrong, (row) => row.count)
  // No row tells of these: their copies are not requested yet.
  const fresh = latest.filter((each) => each.firstFileAt !== null && each.tape === 'none' && !each.isHistory)
  const isLate = failing > 0 || untaped !== null || lateForTape(copies, tapeLateHours, now).length > 0
  const oldest = (at: Date | null) => (at === null ? NOTHING : html`, oldest ${ageOf(at, now)}`)
  const freshText = fresh.length === 0 ? '' : `, ${count(fresh.length)} of the last runs without a copy`
  const missing = untaped === null ? freshText : `, ${untapedText(untaped)}`
  const stages: readonly Stage[] = [
    {
      name: 'DAQ',
      tone: daq,
      text: html`run ${run.stoppedAt === null ? 'began' : 'ended'} ${agoOf(run.stoppedAt ?? last.at, now)}`,
    },
    {
      name: 'store',
      tone: store,
      text: arrived.lastAt === null ? 'nothing arrived' : html`last run ${agoOf(arrived.lastAt, now)}`,
    },
    {
      name: 'catalogue',
      tone:
        refused > 0 || isLateArrival(arriving, now)
          ? 'bad'
          : arriving.count > 0 || arriving.atLeast
            ? 'moving'
            : 'good',
      text: html`${count(arriving.count)}${arriving.atLeast ? '+' : ''} waiting${oldest(arriving.oldest)}${refused > 0 ? html`, ${count(refused)} refused` : NOTHING}`,
    },
    {
      name: 'tape',
      tone: isLate ? 'bad' : waiting + fresh.length > 0 ? 'moving' : 'good',
      text: html`${count(waiting)} waiting${oldest(earliest(onTheWay))}${failing > 0 ? html`, ${count(failing)} failing or wrong` : NOTHING}${missing}`,
    },
  ]
  return html`<ol class="pipeline" aria-label="The way of the data">${stages.map(({ name, tone, text }) => html`<li><strong>${mark(tone, name)}</strong> <span class="quiet">${text}</span></li>`)}</ol>`
}

const earliest = (rows: readonly CopiesInState[]): Date | null =>
  rows.length === 0 ? null : new Date(Math.min(...rows.map((row) => row.oldest.getTime())))

/** The last runs, with what is wrong with them in words. */
const strip = ({ tag, latest }: SiteState, marks: RunMarks): Html =>
  latest.length < 2
    ? NOTHING
    : html`<div class="strip"><p class="quiet" id="${siteId(tag)}-strip">last runs</p><ol aria-labelledby="${siteId(tag)}-strip">${latest.map((run) => html`<li>${markOf(run, marks)} <a href="${runPath(run)}">${run.runNumber}</a></li>`)}</ol></div>`

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
  if (steps.length === 0) return NOTHING
  const list = table<Step>({
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
  return fold(`${id}-work`, 'Work in progress, stage by stage', list)
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
      what: 'refused',
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

/**
 * Current problems, at the top of the page Now, to be seen before anything is read. Without problems, it
 * lists what was checked.
 */

import { html } from 'hono/html'
import { NOT_ON_MEDIA, WRONG } from '../../../shared/catalogue/replica-states.ts'
import type { Alert } from '../../../shared/queries/alerts.ts'
import type { ArrivalsOfTag, Arriving } from '../../../shared/queries/open-arrivals.ts'
import type { CopiesInState, SiteState, Sites } from '../../../shared/queries/site-state.ts'
import type { UntapedRuns } from '../../../shared/queries/untaped-runs.ts'
import type { QueueName } from '../../../shared/queue/queues.ts'
import type { QueueState } from '../api/queue-states.ts'
import { age, count, counted } from './format.ts'
import { type Html, mark, type Tone } from './parts.ts'
import { lateFiles } from './site-verdict.ts'

/** Cataloguing takes minutes for the largest runs; a file not catalogued after this long is stuck. */
const WORK_LATE_MS = 30 * 60_000
/**
 * Messages of this queue never stay for long: each is recorded in the catalogue and acknowledged. Recall
 * messages stay as long as a recall takes, `runs` is covered by the arrivals, and the consumers of the other
 * queues are not part of this catalogue.
 */
const SHORT_LIVED_QUEUE: QueueName = 'tape-requests'

export interface SiteOverview {
  readonly sites: Sites
  /** What fires, newest first; `mostAlerts` is the limit of the query. */
  readonly alerts: readonly Alert[]
  readonly mostAlerts: number
  /** The tags whose old objects wait for a take-over time; null: objects without a tag. */
  readonly heldTags: readonly (string | null)[]
  /** Empty for callers who may not see queues. */
  readonly queues: readonly QueueState[]
  /** After this many hours a live run should be on tape. */
  readonly tapeLateHours: number
  readonly now: Date
}

export interface Problem {
  readonly tone: Extract<Tone, 'bad' | 'waiting'>
  readonly what: string
  readonly path: string
}

export function attention(overview: SiteOverview): Html {
  const problems = problemsOf(overview)
  if (problems.length === 0) return html`<p class="attention">${mark('good', nothingFoundText(overview))}</p>`
  const tone = problems.some((trouble) => trouble.tone === 'bad') ? 'bad' : 'waiting'
  return html`<ul class="attention ${tone}" aria-label="Problems">
${problems.map((trouble) => html`<li><a href="${trouble.path}">${mark(trouble.tone, trouble.what)}</a></li>\n`)}
</ul>`
}

/** Lists what was checked and claims nothing else: a DAQ that takes no data may be meant to. */
const nothingFoundText = ({ queues, tapeLateHours }: SiteOverview): string =>
  `Found no failed or doubtful copies, no file that waits longer than ${WORK_LATE_MS / 60_000} min to be catalogued, no run of the last week that ended long ago and has no file, no new run that waits longer than ${tapeLateHours} h for tape or has no copy there; no refused file of the last day or of a run that is not catalogued; no alert that nobody has acknowledged; in the last day no run with an open problem${queues.length === 0 ? '' : '; no dead letters, and every queue answers'}.`

export function problemsOf({
  sites: { sites, elsewhere },
  alerts,
  mostAlerts,
  heldTags,
  queues,
  tapeLateHours,
  now,
}: SiteOverview): readonly Problem[] {
  return [
    ...sites.flatMap((site) => [
      ...ofCopies(site, tapeLateHours, now),
      ...ofAwaited(site, now),
      ...ofArrivals(site.tag, site, `#${siteId(site.tag)}`, now),
      ...ofRuns(site),
    ]),
    ...elsewhere.flatMap((each) => ofArrivals(each.tag ?? 'without a tag', each, '#alerts', now)),
    ...heldTags.map((tag) =>
      bad(`${tag ?? 'without a tag'}: old objects wait for a take-over time (cygnet adopt)`, '#alerts'),
    ),
    ...ofAlerts(alerts, mostAlerts),
    ...queues.flatMap((state) => ofQueue(state, now)),
  ]
}

/** The id of a site's panel. */
export const siteId = (tag: string): string => `site-${encodeURIComponent(tag)}`

const bad = (what: string, path: string): Problem => ({ tone: 'bad', what, path })

function ofCopies({ tag, copies, untaped }: SiteState, tapeLateHours: number, now: Date): readonly Problem[] {
  const path = `/replicas?tag=${encodeURIComponent(tag)}`
  const select = (is: (copy: CopiesInState) => boolean) => copies.filter(is)
  const sum = (rows: readonly CopiesInState[]) =>
    counted(
      rows.reduce((total, row) => total + row.count, 0),
      'copy',
      'copies',
    )
  const doubtful = select(({ state }) => WRONG.includes(state))
  const failed = select(({ state }) => state === 'failed')
  const retried = select(({ failing }) => failing > 0).map((row) => ({ ...row, count: row.failing }))
  const late = lateForTape(copies, tapeLateHours, now)
  const notStarted = select(
    (row) => row.kind === 'recall' && row.state === 'requested' && isOlder(row.oldest, WORK_LATE_MS, now),
  )
  return [
    ...(doubtful.length === 0 ? [] : [bad(`${tag}: ${sum(doubtful)} suspicious or missing`, path)]),
    ...(failed.length === 0 ? [] : [bad(`${tag}: ${sum(failed)} failed`, path)]),
    ...(retried.length === 0
      ? []
      : [bad(`${tag}: ${sum(retried)} failing, will be retried: ${retried[0]?.lastError}`, path)]),
    ...(late.length === 0
      ? []
      : [bad(`${tag}: a new run has been waiting for tape for ${age(oldestOf(late), now)}`, path)]),
    ...(untaped === null
      ? []
      : [
          bad(
            `${tag}: ${untapedText(untaped)}, the first arrived ${age(untaped.first.arrivedAt, now)} ago`,
            `/runs?${new URLSearchParams({ tag, tape: 'none' })}`,
          ),
        ]),
    ...(notStarted.length === 0
      ? []
      : [bad(`${tag}: a recall has been waiting to start for ${age(oldestOf(notStarted), now)}`, path)]),
  ]
}

/** Copies of new runs that should be on the medium by now. */
export const lateForTape = (copies: readonly CopiesInState[], lateHours: number, now: Date) =>
  copies.filter(
    (row) =>
      row.kind === 'tape' &&
      row.priority === 'live' &&
      NOT_ON_MEDIA.includes(row.state) &&
      isOlder(row.oldest, lateHours * HOUR_MS, now),
  )

/** `3 runs without any copy on tape` */
export const untapedText = ({ runs, atLeast }: UntapedRuns): string =>
  `${count(runs)}${atLeast ? '+' : ''} ${runs === 1 ? 'run' : 'runs'} without any copy on tape`

/** Whether a file has been waiting to be catalogued for too long. */
export const isLateArrival = ({ oldest }: Arriving, now: Date): boolean =>
  oldest !== null && isOlder(oldest, WORK_LATE_MS, now)

const HOUR_MS = 3_600_000
const oldestOf = (copies: readonly CopiesInState[]) =>
  new Date(Math.min(...copies.map(({ oldest }) => oldest.getTime())))
const isOlder = (at: Date, ms: number, now: Date): boolean => now.getTime() - at.getTime() > ms

function ofAwaited(site: SiteState, now: Date): readonly Problem[] {
  const late = lateFiles(site, now)
  const [earliest] = late
  if (earliest === undefined) return []
  const what = `${site.tag}: ${counted(late.length, 'run')} ended without a file, the first ${age(earliest, now)} ago`
  return [{ tone: 'waiting', what, path: `/runs?${new URLSearchParams({ tag: site.tag, cloud: 'absent' })}` }]
}

function ofArrivals(
  of: string,
  { arriving, refused }: ArrivalsOfTag,
  path: string,
  now: Date,
): readonly Problem[] {
  const { count: waiting, oldest, atLeast } = arriving
  return [
    ...(refused === 0 ? [] : [bad(`${of}: ${counted(refused, 'file')} refused`, '#alerts')]),
    ...(atLeast
      ? [
          {
            tone: 'waiting' as const,
            what: `${of}: more files wait or were refused than can be counted, of which tag is not known`,
            path,
          },
        ]
      : []),
    ...(oldest !== null && isLateArrival(arriving, now)
      ? [
          bad(
            `${of}: ${count(waiting)}${atLeast ? '+' : ''} not catalogued yet, the oldest waiting for ${age(oldest, now)}`,
            path,
          ),
        ]
      : []),
  ]
}

function ofRuns({ tag, recent }: SiteState): readonly Problem[] {
  if (recent.withProblem === 0) return []
  const query = new URLSearchParams({ tag, problem: 'any', sort: '-catalogued' })
  return [
    bad(`${tag}: ${counted(recent.withProblem, 'run')} of the last day with open problems`, `/runs?${query}`),
  ]
}

/** By severity; alerts of severity `info` are not problems, and of acknowledged ones somebody takes care. */
function ofAlerts(alerts: readonly Alert[], most: number): readonly Problem[] {
  const more = alerts.length === most ? '+' : ''
  return (['page', 'error', 'warning'] as const).flatMap((severity) => {
    const own = alerts.filter((alert) => alert.severity === severity && alert.state === 'firing').length
    if (own === 0) return []
    const what = `${count(own)}${more} ${own === 1 && more === '' ? NAMES[severity][0] : NAMES[severity][1]}`
    return [{ tone: severity === 'warning' ? 'waiting' : 'bad', what, path: '#alerts' }] as const
  })
}

const NAMES = {
  page: ['alert for the person on call fires', 'alerts for the person on call fire'],
  error: ['error fires', 'errors fire'],
  warning: ['warning fires', 'warnings fire'],
} as const

function ofQueue({ queue, depth, dead, oldest }: QueueState, now: Date): readonly Problem[] {
  if (depth === null) return [bad(`${queue} does not answer`, '/queues')]
  const isStuck = queue === SHORT_LIVED_QUEUE && oldest !== null && isOlder(oldest, WORK_LATE_MS, now)
  return [
    ...(dead === 0 ? [] : [bad(`${queue}: ${counted(dead, 'dead letter')}`, `/queues#dead-${queue}`)]),
    ...(isStuck
      ? [
          bad(
            `${queue}: ${counted(depth.waiting + depth.inFlight, 'message')}, the oldest waiting for ${age(oldest, now)}`,
            `/queues#${queue}`,
          ),
        ]
      : []),
  ]
}

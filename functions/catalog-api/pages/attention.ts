/**
 * What is wrong, at the top of the page Now: to be seen before anything is read. Where nothing is, it says
 * what was looked at.
 */

import { html } from 'hono/html'
import { NOT_ON_MEDIA, WRONG } from '../../../shared/catalogue/replica-states.ts'
import type { Alert } from '../../../shared/queries/alerts.ts'
import type { ArrivalsOfTag } from '../../../shared/queries/open-arrivals.ts'
import type { CopiesInState, SiteState, Sites } from '../../../shared/queries/site-state.ts'
import type { QueueName } from '../../../shared/queue/queues.ts'
import type { QueueState } from '../api/queue-states.ts'
import { age, count, counted } from './format.ts'
import { type Html, mark, type Tone } from './parts.ts'

/**
 * Cataloguing takes minutes for the largest runs; what is not done after so long waits for something that
 * does not come.
 */
const WORK_LATE_MS = 30 * 60_000
/**
 * Of its messages none may wait for long: each is written into the catalogue and let go. Those of recalls
 * stay as long as a recall takes; the arrivals tell of `runs` by themselves, and who reads the others is no
 * part of this catalogue.
 */
const LET_GO_AT_ONCE: QueueName = 'tape-requests'

export interface Looked {
  readonly sites: Sites
  /** Of the last day, the latest first; `most` is how many were asked for. */
  readonly alerts: readonly Alert[]
  readonly mostAlerts: number
  /** None for who may not see them. */
  readonly queues: readonly QueueState[]
  /** After so many hours a live run should be on tape. */
  readonly tapeLateHours: number
  readonly now: Date
}

export interface Trouble {
  readonly tone: Extract<Tone, 'bad' | 'waiting'>
  readonly what: string
  readonly path: string
}

export function attention(looked: Looked): Html {
  const troubles = troublesOf(looked)
  if (troubles.length === 0) return html`<p class="attention">${mark('good', allIsWell(looked))}</p>`
  const tone = troubles.some((trouble) => trouble.tone === 'bad') ? 'bad' : 'waiting'
  return html`<ul class="attention ${tone}" aria-label="Wrong">
${troubles.map((trouble) => html`<li><a href="${trouble.path}">${mark(trouble.tone, trouble.what)}</a></li>\n`)}
</ul>`
}

/** Names what was looked at, and claims nothing of the rest: a DAQ that takes no data may be meant to. */
const allIsWell = ({ queues, tapeLateHours }: Looked): string =>
  `Found no failed or doubtful copies, no file that waits longer than ${WORK_LATE_MS / 60_000} min to be catalogued, no new run that waits longer than ${tapeLateHours} h for tape; in the last day no refused file, no incomplete run, no alert${queues.length === 0 ? '' : '; no dead letters, and every queue answers'}.`

export function troublesOf({
  sites: { sites, elsewhere },
  alerts,
  mostAlerts,
  queues,
  tapeLateHours,
  now,
}: Looked): readonly Trouble[] {
  return [
    ...sites.flatMap((site) => [
      ...ofCopies(site, tapeLateHours, now),
      ...ofArrivals(site.tag, site, `#${siteId(site.tag)}`, now),
      ...ofRuns(site),
    ]),
    ...elsewhere.flatMap((each) => ofArrivals(each.tag ?? 'without a tag', each, '#alerts', now)),
    ...ofAlerts(alerts, mostAlerts),
    ...queues.flatMap((state) => ofQueue(state, now)),
  ]
}

/** Of the panel of a site. */
export const siteId = (tag: string): string => `site-${encodeURIComponent(tag)}`

const bad = (what: string, path: string): Trouble => ({ tone: 'bad', what, path })

function ofCopies({ tag, copies }: SiteState, tapeLateHours: number, now: Date): readonly Trouble[] {
  const path = `/replicas?tag=${encodeURIComponent(tag)}`
  const those = (is: (copy: CopiesInState) => boolean) => copies.filter(is)
  const sum = (rows: readonly CopiesInState[]) =>
    counted(
      rows.reduce((total, row) => total + row.count, 0),
      'copy',
      'copies',
    )
  const doubtful = those(({ state }) => WRONG.includes(state))
  const failed = those(({ state }) => state === 'failed')
  const again = those(({ failing }) => failing > 0).map((row) => ({ ...row, count: row.failing }))
  const late = those(
    (row) =>
      row.kind === 'tape' &&
      row.priority === 'live' &&
      NOT_ON_MEDIA.includes(row.state) &&
      isOlder(row.oldest, tapeLateHours * HOUR_MS, now),
  )
  const unbegun = those(
    (row) => row.kind === 'recall' && row.state === 'requested' && isOlder(row.oldest, WORK_LATE_MS, now),
  )
  return [
    ...(doubtful.length === 0 ? [] : [bad(`${tag}: ${sum(doubtful)} suspicious or missing`, path)]),
    ...(failed.length === 0 ? [] : [bad(`${tag}: ${sum(failed)} failed`, path)]),
    ...(again.length === 0
      ? []
      : [bad(`${tag}: ${sum(again)} failed so far, tried again: ${again[0]?.lastError}`, path)]),
    ...(late.length === 0
      ? []
      : [bad(`${tag}: a new run waits for tape for ${age(oldestOf(late), now)}`, path)]),
    ...(unbegun.length === 0
      ? []
      : [bad(`${tag}: a recall waits to be begun for ${age(oldestOf(unbegun), now)}`, path)]),
  ]
}

const HOUR_MS = 3_600_000
const oldestOf = (copies: readonly CopiesInState[]) =>
  new Date(Math.min(...copies.map(({ oldest }) => oldest.getTime())))
const isOlder = (at: Date, ms: number, now: Date): boolean => now.getTime() - at.getTime() > ms

function ofArrivals(
  of: string,
  { arriving, refused }: ArrivalsOfTag,
  path: string,
  now: Date,
): readonly Trouble[] {
  const { count: waiting, oldest, atLeast } = arriving
  const isLate = oldest !== null && isOlder(oldest, WORK_LATE_MS, now)
  return [
    ...(refused === 0 ? [] : [bad(`${of}: ${counted(refused, 'file')} refused in the last day`, '#alerts')]),
    ...(isLate
      ? [
          bad(
            `${of}: ${count(waiting)}${atLeast ? '+' : ''} not catalogued yet, the oldest waits for ${age(oldest, now)}`,
            path,
          ),
        ]
      : []),
  ]
}

function ofRuns({ tag, recent }: SiteState): readonly Trouble[] {
  if (recent.incomplete === 0) return []
  const query = new URLSearchParams({ tag, complete: 'false', sort: '-catalogued' })
  return [bad(`${tag}: ${counted(recent.incomplete, 'run')} of the last day not complete`, `/runs?${query}`)]
}

/** By severity; what is only worth knowing is no trouble. */
function ofAlerts(alerts: readonly Alert[], most: number): readonly Trouble[] {
  const more = alerts.length === most ? '+' : ''
  return (['page', 'error', 'warning'] as const).flatMap((severity) => {
    const own = alerts.filter((alert) => alert.severity === severity).length
    if (own === 0) return []
    const what = `${count(own)}${more} ${own === 1 && more === '' ? NAMES[severity][0] : NAMES[severity][1]} in the last day`
    return [{ tone: severity === 'warning' ? 'waiting' : 'bad', what, path: '#alerts' }] as const
  })
}

const NAMES = {
  page: ['alert for whoever is on call', 'alerts for whoever is on call'],
  error: ['error', 'errors'],
  warning: ['warning', 'warnings'],
} as const

function ofQueue({ queue, depth, dead, oldest }: QueueState, now: Date): readonly Trouble[] {
  if (depth === null) return [bad(`${queue} does not answer`, '/queues')]
  const isStuck = queue === LET_GO_AT_ONCE && oldest !== null && isOlder(oldest, WORK_LATE_MS, now)
  return [
    ...(dead === 0 ? [] : [bad(`${queue}: ${counted(dead, 'dead letter')}`, `/queues#dead-${queue}`)]),
    ...(isStuck
      ? [
          bad(
            `${queue}: ${counted(depth.waiting + depth.inFlight, 'message')}, the oldest waits for ${age(oldest, now)}`,
            `/queues#${queue}`,
          ),
        ]
      : []),
  ]
}

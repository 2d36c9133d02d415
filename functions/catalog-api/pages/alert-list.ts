/** Alerts on pages: what was found, when and how often, and who takes care. */
import { html } from 'hono/html'
import type { Alert } from '../../../shared/queries/alerts.ts'
import { count } from './format.ts'
import { agoOf, type Html, mark, NOTHING, runPath } from './parts.ts'

const TONES = { info: 'none', warning: 'waiting', error: 'bad', page: 'bad' } as const

/** @param about what each is about, as far as the page does not show it. */
export const alertList = (alerts: readonly Alert[], now: Date, about: (alert: Alert) => Html): Html =>
  html`<ol class="alerts">
${alerts.map((alert) => html`<li><p>${markOf(alert)} <span class="about">${about(alert)}</span> <span class="quiet">${timesOf(alert, now)}</span></p><p>${alert.summary}${careOf(alert, now)}</p></li>\n`)}
</ol>`

const markOf = ({ severity, state }: Alert): Html =>
  state === 'resolved' ? mark('good', `${severity}, over`) : mark(TONES[severity], severity)

function timesOf({ state, since, lastSeen, count: times, resolvedAt }: Alert, now: Date): Html {
  if (state === 'resolved') return html`over ${agoOf(resolvedAt ?? lastSeen, now)}`
  return times === 1
    ? html`${agoOf(since, now)}`
    : html`since ${agoOf(since, now)}, ${count(times)} times, last ${agoOf(lastSeen, now)}`
}

/** The comment of whoever acknowledged it. */
function careOf({ acknowledgedBy: by, acknowledgedAt: at, comment }: Alert, now: Date): Html {
  if (by === null || at === null) return NOTHING
  return html` <span class="quiet">Acknowledged by ${by} ${agoOf(at, now)}${comment === null ? NOTHING : html`: ${comment}`}</span>`
}

/** A link to the run, where it is about one; else the tag, or what it is about. */
export function aboutOf({ tag, runNumber, subject }: Alert): Html {
  if (tag === null) return html`${subject === '' ? '–' : subject}`
  return runNumber === null
    ? html`${tag}`
    : html`<a href="${runPath({ tag, runNumber })}">${tag} ${runNumber}</a>`
}

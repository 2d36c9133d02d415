/**
 * Now: every site at a glance, for who is on shift. Works as it is; with a script it follows what happens.
 */
import { html } from 'hono/html'
import { mayDo, tagsAllowed } from '../../../shared/access/caller.ts'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import type { Context } from '../../../shared/context.ts'
import { type Alert, recentAlerts } from '../../../shared/queries/alerts.ts'
import { siteStates, type VisibleTags } from '../../../shared/queries/site-state.ts'
import { type QueueState, queueStates } from '../api/queue-states.ts'
import { type Api, addPage } from '../http/route.ts'
import { createAskedOnce } from './asked-once.ts'
import { attention, type Looked, troublesOf } from './attention.ts'
import { renderPage } from './layout.ts'
import type { PageOptions } from './options.ts'
import { ageOf, type Html, mark, NOTHING, runPath, timeOf } from './parts.ts'
import { sitePanel } from './site-panel.ts'

const DAY_MS = 86_400_000
const MOST_ALERTS = 50

/** Where the queues do not answer, the page is not held up by them. */
const QUEUES_MS = 5000

export function registerNow(api: Api, context: Context<'database' | 'queues'>, options: PageOptions): void {
  const askedOnce = createAskedOnce<Looked>()
  addPage(api, 'GET', '/', { right: 'read', anyTag: true }, async (c) => {
    const caller = c.get('caller')
    const who = { tags: tagsAllowed(caller, 'read'), withQueues: mayDo(caller, 'operate', EVERY_TAG) }
    const looked = await askedOnce(JSON.stringify(who), () => look(context, who))
    return renderPage(c, options, { title: 'Now', body: nowBody(looked), scripts: ['live.js'] })
  })
}

interface Who {
  readonly tags: VisibleTags
  readonly withQueues: boolean
}

async function look(context: Context<'database' | 'queues'>, { tags, withQueues }: Who): Promise<Looked> {
  const now = context.now()
  const since = new Date(now.getTime() - DAY_MS)
  const [sites, alerts, queues] = await Promise.all([
    siteStates(context.database, tags, since, now),
    recentAlerts(context.database, tags, since, MOST_ALERTS),
    withQueues ? queueStates(context, AbortSignal.timeout(QUEUES_MS)) : [],
  ])
  return {
    sites,
    alerts,
    mostAlerts: MOST_ALERTS,
    queues,
    tapeLateHours: context.config.tape.lateHours,
    now,
  }
}

function nowBody(looked: Looked): Html {
  const { sites, alerts, queues, now } = looked
  const isNew = sites.sites.length === 0
  return html`<div class="title"><h1>Now</h1>
<p class="live" role="status" data-live-status>as of ${timeOf(now)}</p></div>
<div data-live="all">
${isNew && troublesOf(looked).length === 0 ? NOTHING : attention(looked)}
<div class="sites" id="sites">
${isNew ? html`<p class="empty">No run is catalogued yet. It appears here as soon as the DAQ has put one into the store.</p>` : sites.sites.map((site) => sitePanel(site, now))}
</div>
<section id="alerts" aria-labelledby="alerts-heading"><h2 id="alerts-heading">Alerts of the last day</h2>
${alertList(alerts, now)}
</section>
${queues.length === 0 ? NOTHING : html`<section id="queues" aria-labelledby="queues-heading"><h2 id="queues-heading">Queues</h2>${queueList(queues)}</section>`}
</div>`
}

const SEVERITIES = { info: 'none', warning: 'waiting', error: 'bad', page: 'bad' } as const

const alertList = (alerts: readonly Alert[], now: Date): Html =>
  alerts.length === 0
    ? html`<p class="empty">None.</p>`
    : html`<ol class="alerts">
${alerts.map(
  (alert) =>
    html`<li><p>${mark(SEVERITIES[alert.severity], alert.severity)} <span class="about">${runOf(alert)}</span> <span class="quiet">${ageOf(alert.at, now)} ago</span></p><p>${alert.summary}</p></li>\n`,
)}
</ol>`

function runOf({ tag, runNumber }: Alert): Html {
  if (tag === null) return html`–`
  return runNumber === null
    ? html`${tag}`
    : html`<a href="${runPath({ tag, runNumber })}">${tag} ${runNumber}</a>`
}

const queueList = (queues: readonly QueueState[]): Html => html`<ul class="queues">
${queues.map(
  ({ queue, depth, dead }) =>
    html`<li><a href="/queues#${queue}">${queue}</a> ${depth === null ? mark('bad', 'does not answer') : depth.waiting + depth.inFlight === 0 ? mark('none', 'empty') : mark('moving', `${depth.waiting} waiting, ${depth.inFlight} at work`)}${dead > 0 ? html` ${mark('bad', `${dead} dead`)}` : ''}</li>\n`,
)}
</ul>`

/** Now: every site at a glance, for the shifter. Works without scripts; with one it is updated live. */
import { html } from 'hono/html'
import { mayDo, tagsAllowed } from '../../../shared/access/caller.ts'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import type { Context } from '../../../shared/context.ts'
import { heldTags, openAlerts } from '../../../shared/queries/alerts.ts'
import { runsVerified } from '../../../shared/queries/runs-verified.ts'
import { type SiteState, siteStates, type VisibleTags } from '../../../shared/queries/site-state.ts'
import { type QueueState, queueStates } from '../api/queue-states.ts'
import { type Api, addPage } from '../http/route.ts'
import { aboutOf, alertList } from './alert-list.ts'
import { attention, problemsOf, type SiteOverview } from './attention.ts'
import { renderPage } from './layout.ts'
import { originOf, type PageOptions } from './options.ts'
import { copyable, type Html, mark, NOTHING, timeOf } from './parts.ts'
import { createSingleFlight } from './single-flight.ts'
import { type RunMarks, sitePanel, siteSentence } from './site-panel.ts'
import { listHead, useElsewhere } from './use-elsewhere.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MOST_ALERTS = 50

/** The page does not wait longer for queues that do not answer. */
const QUEUES_MS = 5000

export function registerNow(api: Api, context: Context<'database' | 'queues'>, options: PageOptions): void {
  const singleFlight = createSingleFlight<NowOverview>()
  addPage(api, 'GET', '/', { right: 'read', anyTag: true }, async (c) => {
    const caller = c.get('caller')
    const viewer = { tags: tagsAllowed(caller, 'read'), withQueues: mayDo(caller, 'operate', EVERY_TAG) }
    const overview = await singleFlight(JSON.stringify(viewer), () => loadOverview(context, viewer))
    return renderPage(c, options, {
      title: 'Now',
      body: nowBody(overview, originOf(c, context)),
      scripts: ['live.js'],
      styles: ['cards.css'],
    })
  })
}

/** With what is known of the copies of the runs that are shown. */
type NowOverview = SiteOverview & RunMarks

interface Viewer {
  readonly tags: VisibleTags
  readonly withQueues: boolean
}

async function loadOverview(
  context: Context<'database' | 'queues'>,
  { tags, withQueues }: Viewer,
): Promise<NowOverview> {
  const now = context.now()
  const since = new Date(now.getTime() - DAY_MS)
  const onTapeBefore = new Date(now.getTime() - context.config.tape.lateHours * HOUR_MS)
  const [sites, alerts, held, queues] = await Promise.all([
    siteStates(context.database, tags, { since, onTapeBefore, now }),
    openAlerts(context.database, tags, MOST_ALERTS),
    heldTags(context.database, tags),
    withQueues ? queueStates(context, AbortSignal.timeout(QUEUES_MS)) : [],
  ])
  const shown = sites.sites.flatMap(({ last, latest }) => [last.run, ...latest])
  return {
    verifiedOf: await runsVerified(
      context.database,
      shown.map(({ id }) => id),
    ),
    period: { scrubDays: context.config.scrub.days, now },
    sites,
    alerts,
    mostAlerts: MOST_ALERTS,
    heldTags: held,
    queues,
    tapeLateHours: context.config.tape.lateHours,
    now,
  }
}

function nowBody(overview: NowOverview, origin: string): Html {
  const { sites, alerts, queues, now } = overview
  const isNew = sites.sites.length === 0
  const isEmpty = isNew && problemsOf(overview).length === 0
  return html`<div class="title"><h1>Now</h1>
<p class="live" role="status" data-live-status>as of ${timeOf(now)}</p></div>
<div data-live="all">
${isNew ? NOTHING : html`<ul class="verdict sentences" aria-label="Sites">${byActivity(sites.sites).map((site) => siteSentence(site, now))}</ul>`}
${isEmpty ? NOTHING : attention(overview)}
${isNew ? noSite : html`<div class="sites" id="sites">${byActivity(sites.sites).map((site) => sitePanel(site, overview))}</div>`}
${isEmpty ? NOTHING : html`<section id="alerts" aria-labelledby="alerts-heading">${listHead('alerts-heading', 'Alerts', useElsewhere({ id: 'now', origin, lists: LISTS_OF_NOW }))}${alerts.length === 0 ? html`<p class="empty">No alert fires now.</p>` : alertList(alerts, now, aboutOf)}</section>`}
${queues.length === 0 ? NOTHING : html`<section id="queues" aria-labelledby="queues-heading"><h2 id="queues-heading">Queues</h2>${queueList(queues)}</section>`}
</div>`
}

const OPEN_ALERTS = new URLSearchParams([
  ['state', 'firing'],
  ['state', 'acknowledged'],
])

const OPEN_ARRIVALS = new URLSearchParams(
  ['received', 'processing', 'invalid', 'failed'].map((state): [string, string] => ['state', state]),
)

/** The lists behind what the page sums up. */
const LISTS_OF_NOW = [
  { what: 'alerts that fire', path: '/api/v1/alerts', query: OPEN_ALERTS },
  { what: 'runs with open problems', path: '/api/v1/runs', query: { problem: 'any' } },
  { what: 'files that wait or were refused', path: '/api/v1/arrivals', query: OPEN_ARRIVALS },
  { what: 'copies in progress, failed or suspicious', path: '/api/v1/replicas/open' },
] as const

/** The site from which a run came last comes first. */
const byActivity = (sites: readonly SiteState[]): readonly SiteState[] =>
  sites.toSorted((a, b) => lastSign(b) - lastSign(a))

const lastSign = ({ last, arrived }: SiteState): number =>
  Math.min(last.at.getTime(), arrived.lastAt?.getTime() ?? Number.POSITIVE_INFINITY)

const noSite: Html = html`<div class="card"><p class="lead">No site has sent a run yet.</p>
<p>A site appears here as soon as its DAQ has put a run into the store, as <code>TAG/run12345.mid.gz</code>. No configuration is needed: the tag is the name of the site.</p>
${copyable('play', 'To play a detector', 'cygnet simulate --runs 3 --first-run 12345 --events 12 --out /tmp/daq\ncygnet push /tmp/daq/LNGS/*.mid.gz --tag LNGS --new-tag')}</div>`

const queueList = (queues: readonly QueueState[]): Html => html`<ul class="queues">
${queues.map(
  ({ queue, depth, dead }) =>
    html`<li><a href="/queues#${queue}">${queue}</a> ${depth === null ? mark('bad', 'does not answer') : depth.waiting + depth.inFlight === 0 ? mark('none', 'empty') : mark('moving', `${depth.waiting} waiting, ${depth.inFlight} in progress`)}${dead > 0 ? html` ${mark('bad', `${dead} dead`)}` : ''}</li>\n`,
)}
</ul>`

/** Replicas: volume by place, day by day, and the copies that are not complete. */
import { html } from 'hono/html'
import * as z from 'zod'
import { tagsAllowed } from '../../../shared/access/caller.ts'
import { FAILED_OR_WRONG, IN_PROGRESS } from '../../../shared/catalogue/replica-states.ts'
import type { Context } from '../../../shared/context.ts'
import { type DayOfTag, type RunsByPlace, storageByDay } from '../../../shared/queries/dashboard.ts'
import { unknownTag } from '../../../shared/queries/known-tags.ts'
import { type CopiesInState, openCopies, type VisibleTags } from '../../../shared/queries/site-state.ts'
import { copyText, PLACES } from '../../../shared/queries/state-words.ts'
import { createAllRuns } from '../api/all-runs.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addPage } from '../http/route.ts'
import { bytes, capitalized, count, counted } from './format.ts'
import { renderPage } from './layout.ts'
import { originOf, type PageOptions } from './options.ts'
import { ageOf, type Content, fold, type Html, mark, NOTHING, type Tone, table, timeOf } from './parts.ts'
import { dailyVolumes, percentOf, volumeCharts } from './replica-charts.ts'
import { unfinishedTone } from './run-marks.ts'
import { listHead, useElsewhere } from './use-elsewhere.ts'

const DAY_MS = 86_400_000
const SPANS = [7, 30, 90] as const
const query = z.object({
  days: z.coerce
    .number()
    .refine((days) => SPANS.some((span) => span === days))
    .catch(30),
  tag: z.string().max(200).optional(),
})

export function registerReplicas(api: Api, context: Context<'database'>, options: PageOptions): void {
  const allRuns = createAllRuns(context)
  addPage(api, 'GET', '/replicas', { right: 'read', anyTag: true }, async (c) => {
    const parsed = query.safeParse(c.req.query())
    if (!parsed.success) throw refusal(400, 'Tag: expected at most 200 characters. Example: LNGS')
    const request = parsed.data
    const visible = tagsAllowed(c.get('caller'), 'read')
    const now = context.now()
    // From midnight, so that the first day is complete.
    const since = new Date(Math.floor(now.getTime() / DAY_MS - request.days + 1) * DAY_MS)
    const { tag = '' } = request
    const tags = tag === '' ? visible : narrowed(visible, tag)
    const unknown = tag !== '' && visible === '*' ? await unknownTag(context.database, [tag]) : null
    if (unknown !== null)
      return renderPage(c, options, {
        title: 'Replicas',
        body: html`<div class="title"><h1>Replicas</h1></div><p class="notice bad">${capitalized(unknown)}. <a href="/replicas?days=${request.days}">All tags</a></p>`,
      })
    const [all, days, open] = await Promise.all([
      allRuns(tags),
      storageByDay(context.database, tags, since),
      openCopies(context.database, tags),
    ])
    return renderPage(c, options, {
      title: 'Replicas',
      body: replicasBody({ all, days, open, now, since, request, origin: originOf(c, context) }),
      scripts: ['live.js'],
      styles: ['cards.css'],
    })
  })
}

const narrowed = (visible: VisibleTags, tag: string): VisibleTags =>
  visible === '*' || visible.includes(tag) ? [tag] : []

interface Shown {
  readonly all: readonly RunsByPlace[]
  readonly days: readonly DayOfTag[]
  readonly open: readonly (CopiesInState & { readonly tag: string })[]
  readonly now: Date
  readonly since: Date
  readonly request: z.infer<typeof query>
  readonly origin: string
}

const replicasBody = ({
  all,
  days,
  open,
  now,
  since,
  request,
  origin,
}: Shown): Html => html`<div class="title"><h1>Replicas</h1>${spans(request)}<p class="live" role="status" data-live-status>as of ${timeOf(now)}</p></div>
<div data-live="time">
${verdictOf(all)}
<section aria-labelledby="under-way">${listHead('under-way', 'Copies in progress, failed or suspicious', openMenu(request, origin))}${backlog(open, now)}</section>
<section aria-labelledby="all">${listHead('all', 'All data', useElsewhere({ id: 'places', origin, lists: [{ what: 'runs and volume by place', path: '/api/v1/replicas/places', query: ofTag(request) }] }))}${allData(all)}</section>
<section aria-labelledby="by-day">${listHead('by-day', 'By the day on which the data was taken', useElsewhere({ id: 'days', origin, lists: [{ what: 'volume by place, day and tag', path: '/api/v1/replicas/days', query: { ...ofTag(request), days: String(request.days) } }] }))}
${volumeCharts(dailyVolumes(days, since, now))}
${totals(days, request.days)}
${days.length === 0 ? NOTHING : fold('day-by-day', `Day by day (${days.length})`, dayTable(days))}</section>
</div>`

/** How much is safe, and what is not on its way to be. */
function verdictOf(all: readonly RunsByPlace[]): Html {
  const sum = (rows: readonly RunsByPlace[], value: (row: RunsByPlace) => number) =>
    rows.reduce((total, row) => total + value(row), 0)
  const onTape = (tape: RunsByPlace['tape']) => all.filter((row) => row.tape === tape)
  const runsIn = (tape: RunsByPlace['tape']) => sum(onTape(tape), (row) => row.runs)
  const runs = sum(all, (row) => row.runs)
  if (runs === 0) return NOTHING
  const [failed, none, moving] = [runsIn('failed'), runsIn('none'), runsIn('under-way')]
  const volume = sum(all, (row) => row.sizeBytes)
  const share = `${count(runsIn('on-media'))} of ${counted(runs, 'run')} are on tape: ${bytes(sum(onTape('on-media'), (row) => row.sizeBytes))} of ${bytes(volume)}.`
  const line = (tone: Tone, what: string, tape: RunsByPlace['tape'], why: string) =>
    html`<li class="${tone}"><strong>${mark(tone, html`<a href="/runs?tape=${tape}">${what}</a>`)}</strong> <span class="reason">${why}</span></li>`
  return html`<ul class="verdict sentences" aria-label="Verdict">
${failed === 0 ? NOTHING : line('bad', `${counted(failed, 'run')} with a failed copy on tape`, 'failed', 'A copy failed, is missing or has other bytes: the page of each run has the reason.')}
${none === 0 ? NOTHING : line('waiting', `${counted(none, 'run')} without a copy on tape`, 'none', 'None is requested, for instance because the file is awaited or the run is history.')}
${moving === 0 ? NOTHING : line('moving', `${counted(moving, 'run')} on the way to tape`, 'under-way', '')}
<li class="none"><strong>${mark('none', failed + none + moving === 0 ? 'All runs are on tape' : 'On tape')}</strong> <span class="reason">${share} The list of runs and the page of each show when that was last verified.</span></li></ul>`
}

const ofTag = ({ tag }: Shown['request']): Readonly<Record<string, string>> => (tag ? { tag } : {})

const openMenu = (request: Shown['request'], origin: string): Html =>
  useElsewhere({
    id: 'open',
    origin,
    lists: [
      { what: 'these sums', path: '/api/v1/replicas/open', query: ofTag(request) },
      {
        what: 'the copies behind them, one by one',
        path: '/api/v1/copies',
        query: new URLSearchParams([
          ...Object.entries(ofTag(request)),
          ...[...IN_PROGRESS, ...FAILED_OR_WRONG].map((state): [string, string] => ['state', state]),
        ]),
      },
      { what: 'recalls, one by one', path: '/api/v1/recalls', query: ofTag(request) },
    ],
  })

function spans({ days, tag }: Shown['request']): Html {
  const path = (span: number) =>
    `/replicas?${new URLSearchParams({ days: String(span), ...(tag ? { tag } : {}) })}`
  return html`<nav aria-label="Time"><ul class="choices">${SPANS.map((span) => html`<li><a href="${path(span)}"${span === days ? html` aria-current="true"` : ''}>${span} days</a></li>`)}</ul>
${tag ? html`<p>only ${tag}, <a href="/replicas?days=${days}">all tags</a></p>` : NOTHING}</nav>`
}

interface Total extends Omit<DayOfTag, 'day'> {
  readonly perDay: number
}

function totals(days: readonly DayOfTag[], span: number): Html {
  const rows = [...Map.groupBy(days, ({ tag }) => tag)].map(([tag, own]): Total => {
    const sum = (value: (day: DayOfTag) => number) => own.reduce((total, each) => total + value(each), 0)
    const takenBytes = sum((each) => each.takenBytes)
    return {
      tag,
      runs: sum((each) => each.runs),
      takenBytes,
      localBytes: sum((each) => each.localBytes),
      cloudBytes: sum((each) => each.cloudBytes),
      tapeBytes: sum((each) => each.tapeBytes),
      perDay: takenBytes / span,
    }
  })
  return table<Total>({
    id: 'totals',
    caption: `Data taken in the last ${span} days, by place`,
    cards: true,
    rows: rows.toSorted((a, b) => (a.tag < b.tag ? -1 : 1)),
    empty: html`No run was taken in the last ${span} days. Choose more days above, or see <a href="/runs">all runs</a>.`,
    columns: [
      {
        head: 'Tag',
        heads: true,
        cell: ({ tag }) =>
          html`<a href="/replicas?days=${span}&amp;tag=${encodeURIComponent(tag)}">${tag}</a>`,
      },
      { head: 'Runs', numeric: true, cell: ({ runs }) => count(runs) },
      { head: 'Taken', numeric: true, cell: ({ takenBytes }) => bytes(takenBytes) },
      { head: 'A day', numeric: true, roomy: true, cell: ({ perDay }) => bytes(Math.round(perDay)) },
      { head: 'DAQ disk', numeric: true, cell: (row) => share(row.localBytes, row.takenBytes) },
      { head: 'Store', numeric: true, cell: (row) => share(row.cloudBytes, row.takenBytes) },
      { head: 'Tape', numeric: true, cell: (row) => share(row.tapeBytes, row.takenBytes) },
    ],
  })
}

/** A volume and its share of the total, repeated as a bar. */
function share(part: number, all: number): Html {
  return html`${bytes(part)} <span class="quiet percent">${percentOf(part, all)}</span> <meter min="0" max="${Math.max(1, all)}" value="${part}" aria-hidden="true"></meter>`
}

const backlog = (open: Shown['open'], now: Date): Html =>
  table({
    id: 'backlog',
    caption: 'Copies that are not where they should be',
    captionHidden: true,
    cards: true,
    rows: open,
    empty: 'No copy is in progress, failed, missing or suspicious.',
    columns: [
      { head: 'Tag', heads: true, cell: ({ tag }) => tag },
      {
        head: 'State',
        prose: open.some(({ lastError }) => lastError !== null),
        cell: ({ state, failing, givenUp, lastError }) =>
          html`${failing === 0 ? mark(unfinishedTone(state), `${copyText(state)}${givenUp ? ', not tried again' : ''}`) : mark('bad', `${copyText(state)}, ${count(failing)} failing`)}${lastError === null ? NOTHING : html`<br><span class="problem">${lastError}</span>`}`,
      },
      { head: 'Where', cell: ({ kind }) => PLACES[kind] },
      { head: 'Priority', roomy: true, cell: ({ priority }) => priority },
      { head: 'Copies', numeric: true, cell: runsOf },
      { head: 'Volume', numeric: true, roomy: true, cell: ({ sizeBytes }) => bytes(sizeBytes) },
      { head: 'Oldest', numeric: true, cell: ({ oldest }) => ageOf(oldest, now) },
    ],
  })

/** Leads to the runs where the table of runs can select them. */
function runsOf({ tag, kind, state, count: copies }: Shown['open'][number]): Content {
  const filters: Readonly<Record<string, string>> = {
    failed: 'tape-failed',
    missing: 'missing-copy',
    suspicious: 'suspicious-copy',
  }
  const problem = kind === 'recall' ? undefined : filters[state]
  return problem === undefined
    ? count(copies)
    : html`<a href="/runs?${new URLSearchParams({ tag, problem })}">${count(copies)}</a>`
}

/** Counts whole runs: a run is on tape only if all of its files are. */
function allData(all: readonly RunsByPlace[]): Html {
  const rows = [...Map.groupBy(all, ({ tag }) => tag)].map(([tag, own]) => ({ tag, own }))
  const sum = (own: readonly RunsByPlace[], value: (row: RunsByPlace) => number) =>
    own.reduce((total, row) => total + value(row), 0)
  const onTape = (own: readonly RunsByPlace[], tape: RunsByPlace['tape']) =>
    own.filter((row) => row.tape === tape)
  const runsLink = (tag: string, own: readonly RunsByPlace[], tape: RunsByPlace['tape'], tone: Tone) => {
    const runs = sum(onTape(own, tape), (row) => row.runs)
    return runs === 0
      ? '–'
      : html`<a href="/runs?${new URLSearchParams({ tag, tape })}">${mark(tone, count(runs))}</a>`
  }
  return table({
    id: 'all-data',
    caption: 'All catalogued runs, by the state of their copy on tape',
    cards: true,
    rows: rows.toSorted((a, b) => (a.tag < b.tag ? -1 : 1)),
    empty: 'No run is catalogued yet. The first one appears here once the DAQ has put it into the store.',
    columns: [
      {
        head: 'Tag',
        heads: true,
        cell: ({ tag }) => html`<a href="/runs?${new URLSearchParams({ tag })}">${tag}</a>`,
      },
      { head: 'Runs', numeric: true, cell: ({ own }) => count(sum(own, (row) => row.runs)) },
      { head: 'Volume', numeric: true, cell: ({ own }) => bytes(sum(own, (row) => row.sizeBytes)) },
      { head: 'No copy', numeric: true, cell: ({ tag, own }) => runsLink(tag, own, 'none', 'waiting') },
      { head: 'Failed', numeric: true, cell: ({ tag, own }) => runsLink(tag, own, 'failed', 'bad') },
      {
        head: 'In progress',
        numeric: true,
        cell: ({ tag, own }) => runsLink(tag, own, 'under-way', 'moving'),
      },
      {
        head: 'On tape',
        numeric: true,
        cell: ({ own }) => count(sum(onTape(own, 'on-media'), (row) => row.runs)),
      },
      {
        head: 'Volume on tape',
        numeric: true,
        cell: ({ own }) =>
          share(
            sum(onTape(own, 'on-media'), (row) => row.sizeBytes),
            sum(own, (row) => row.sizeBytes),
          ),
      },
    ],
  })
}

const dayTable = (days: readonly DayOfTag[]): Html =>
  table<DayOfTag>({
    id: 'days',
    caption: 'Day by day (UTC)',
    captionHidden: true,
    rows: days,
    empty: 'No run was taken in this time.',
    columns: [
      { head: 'Day', heads: true, cell: ({ day, tag }) => html`<a href="${runsOfDay(day, tag)}">${day}</a>` },
      { head: 'Tag', cell: ({ tag }) => tag },
      { head: 'Runs', numeric: true, roomy: true, cell: ({ runs }) => count(runs) },
      { head: 'Taken', numeric: true, cell: ({ takenBytes }) => bytes(takenBytes) },
      { head: 'DAQ disk', numeric: true, roomy: true, cell: ({ localBytes }) => bytes(localBytes) },
      { head: 'Store', numeric: true, cell: ({ cloudBytes }) => bytes(cloudBytes) },
      { head: 'Tape', numeric: true, cell: ({ tapeBytes }) => bytes(tapeBytes) },
    ],
  })

/** A search for the runs that began on this day (UTC). */
function runsOfDay(day: string, tag: string): string {
  const until = new Date(Date.parse(`${day}T00:00:00Z`) + DAY_MS).toISOString().slice(0, 10)
  return `/runs?${new URLSearchParams({ tag, since: day, until })}`
}

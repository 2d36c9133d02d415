/**
 * Queues: what is stuck, why and what helps; then depth, age and dead letters, which can be sent back once their
 * cause is fixed.
 */
import { html } from 'hono/html'
import * as z from 'zod'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import { listParked } from '../../../shared/catalogue/parked.ts'
import type { Context } from '../../../shared/context.ts'
import {
  type DeadLetter,
  dismissChosen,
  readDeadLetters,
  retryChosen,
} from '../../../shared/queries/dead-letters.ts'
import { openBreakers } from '../../../shared/queries/open-breakers.ts'
import { openCopies } from '../../../shared/queries/site-state.ts'
import { failingArrivals, oldestWork } from '../../../shared/queries/waiting-work.ts'
import { QUEUES, type QueueName } from '../../../shared/queue/queues.ts'
import { parseRunKey } from '../../../shared/run.ts'
import { cutText } from '../../../shared/text.ts'
import { audited } from '../access/audited.ts'
import { type QueueState, queueStates } from '../api/queue-states.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addPage } from '../http/route.ts'
import { capitalized, counted } from './format.ts'
import { csrfField, renderPage } from './layout.ts'
import { csrfTokenOf, originOf, type PageOptions } from './options.ts'
import {
  ageOf,
  agoOf,
  type Column,
  type Html,
  mark,
  NOTHING,
  runPath,
  table,
  timeOf,
  whenOf,
} from './parts.ts'
import { QUEUE_TEXTS, type QueuesShown, stuckWork, WITHOUT_READER } from './queue-verdict.ts'
import { useElsewhere } from './use-elsewhere.ts'

const OPERATORS = { right: 'operate', everyTag: true } as const
const MOST_PARKED = 50
const MOST_LETTERS = 50
const ANSWER_MS = 10_000

const letterForm = z.object({ message: z.string().max(200).optional(), all: z.literal('yes').optional() })

export function registerQueues(
  api: Api,
  context: Context<'database' | 'queues'>,
  options: PageOptions,
): void {
  addPage(api, 'GET', '/queues', OPERATORS, async (c) => {
    const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(ANSWER_MS)])
    const [states, oldest, failing, breakers, copies, parked] = await Promise.all([
      queueStates(context, signal),
      oldestWork(context.database),
      failingArrivals(context.database),
      openBreakers(context.database),
      openCopies(context.database, EVERY_TAG),
      listParked(context.database, MOST_PARKED),
    ])
    const withDead = states.filter(({ dead }) => dead > 0).map(({ queue }) => queue)
    const letters = new Map(
      await Promise.all(
        withDead.map(
          async (queue) => [queue, await readDeadLetters(context, queue, MOST_LETTERS, signal)] as const,
        ),
      ),
    )
    const now = context.now()
    const origin = originOf(c, context)
    const counts = (['retried', 'dismissed'] as const).map((action) => {
      const count = /^\d{1,6}$/.exec(c.req.query(action) ?? '')?.[0]
      return count === undefined ? NOTHING : notice(Number(count), action)
    })
    const body = html`<div class="title"><h1>Queues</h1>${useElsewhere({ id: 'queues', origin, lists: [{ what: 'depth and age of the queues', path: '/api/v1/queues' }, ...withDead.map((queue) => ({ what: `dead letters of ${queue}`, path: `/api/v1/dead/${queue}` })), { what: 'notifications that could not be parsed', path: '/api/v1/parked' }] })}<p class="live" role="status" data-live-status>as of ${timeOf(now)}</p></div>
${counts}
<div data-live="time">
${verdictOf({ states, oldest, failing, breakers, copies, now })}
${queueTable(states, oldest, now)}
${states.filter(({ dead }) => dead > 0).map(({ queue }) => deadSection(queue, letters.get(queue) ?? [], csrfTokenOf(c, options), now))}
<section aria-labelledby="parked-heading"><h2 id="parked-heading">Notifications that could not be parsed</h2>
${parkedTable(parked, now)}</section>
</div>`
    return renderPage(c, options, { title: 'Queues', body, scripts: ['live.js'], styles: ['cards.css'] })
  })

  const addAction = (
    path: 'retry' | 'dismiss',
    done: 'retried' | 'dismissed',
    all: 'finished' | 'unfinished',
    act: typeof retryChosen,
  ) =>
    addPage(api, 'POST', `/queues/:queue/${path}`, OPERATORS, async (c) => {
      const queue = QUEUES.find((name) => name === c.req.param('queue'))
      if (queue === undefined) throw refusal(404, 'there is no queue of this name')
      const wanted = letterForm.safeParse(await c.req.parseBody()).data
      if (wanted === undefined || (wanted.message === undefined) === (wanted.all === undefined))
        throw refusal(400, 'name a dead letter, or choose all of them')
      const choice = wanted.message === undefined ? all : { ids: [wanted.message] }
      const object = `dead letters ${done} of ${queue}: ${choice === all ? `all ${all}` : wanted.message}`
      const count = await audited(
        context,
        c,
        'replay',
        object,
        () => act(context, queue, choice, c.req.raw.signal),
        (count) => `${count} ${done}`,
      )
      context.log.info({ queue, messages: count, by: c.get('caller').subject }, `dead-letters-${done}`)
      return c.redirect(`/queues?${done}=${count}#${queue}`, 303)
    })
  addAction('retry', 'retried', 'unfinished', retryChosen)
  addAction('dismiss', 'dismissed', 'finished', dismissChosen)
}

function verdictOf(shown: QueuesShown): Html {
  const { now } = shown
  const stuck = stuckWork(shown)
  if (stuck.length === 0)
    return html`<ul class="verdict" aria-label="Verdict"><li class="good"><strong>${mark('good', 'Nothing is stuck')}</strong> <span class="reason">Every queue answers, there is no dead letter, no file fails to be catalogued, no copy fails, and no work is due for longer than 30 min.</span></li></ul>`
  return html`<ul class="verdict stuck" aria-label="Stuck">${stuck.map(
    ({ tone, what, path, why, helps, since, next }) =>
      html`<li class="${tone}"><strong>${mark(tone, html`<a href="${path}">${capitalized(what)}</a>`)}</strong>${since === null ? NOTHING : html` <span class="quiet">for ${ageOf(since, now)}</span>`}${why === null ? NOTHING : html`<p class="why">${why}</p>`}<p class="quiet why">${helps}${next === null ? NOTHING : html` Tried again ${next > now ? agoOf(next, now) : 'now'}.`}</p></li>`,
  )}</ul>`
}

function notice(count: number, action: 'retried' | 'dismissed'): Html {
  const what = action === 'retried' ? 'sent back' : 'dismissed'
  const text =
    count === 0
      ? `No message was ${what}: it had been removed already, or another process was reading it. Try again in a minute.`
      : `${counted(count, 'dead letter')} ${count === 1 ? 'was' : 'were'} ${what}.`
  return html`<p class="notice" role="status">${text}</p>`
}

function queueTable(states: readonly QueueState[], oldest: ReadonlyMap<QueueName, Date>, now: Date): Html {
  const number = (value: number | undefined) => (value === undefined ? '–' : String(value))
  const columns: readonly Column<QueueState>[] = [
    { head: 'Queue', heads: true, cell: ({ queue }) => html`<span id="${queue}">${queue}</span>` },
    {
      head: 'Carries',
      roomy: true,
      cell: ({ queue }) =>
        html`<span class="quiet">${QUEUE_TEXTS[queue]}${WITHOUT_READER.includes(queue) ? ' (nothing reads them yet)' : ''}</span>`,
    },
    {
      head: 'Dead letters',
      cell: ({ queue, depth, dead }) => {
        if (depth === null) return mark('bad', 'the queue does not answer')
        return dead === 0
          ? mark('none', 'none')
          : html`<a href="#dead-${queue}">${mark('bad', String(dead))}</a>`
      },
    },
    { head: 'Waiting', numeric: true, cell: ({ depth }) => number(depth?.waiting) },
    { head: 'In progress', numeric: true, roomy: true, cell: ({ depth }) => number(depth?.inFlight) },
    {
      head: 'Oldest work',
      numeric: true,
      cell: ({ queue, depth, oldest: message }) => {
        const at = earlierOf(oldest.get(queue), message)
        if (at !== null)
          return at === message
            ? html`<span title="${AGE_SOURCE}">${ageOf(at, now)} or more</span>`
            : ageOf(at, now)
        return depth === null || depth.waiting + depth.inFlight > 0 ? UNKNOWN_AGE : '–'
      },
    },
  ]
  return table({
    id: 'queue-table',
    caption: 'Depth and age',
    captionHidden: true,
    rows: states,
    empty: '',
    columns,
  })
}

const earlierOf = (work: Date | undefined, message: Date | null): Date | null =>
  work === undefined || (message !== null && message < work) ? message : work

const AGE_SOURCE =
  'From the time at which the last messages were sent: a queue does not report the age of its messages.'

/** A queue reveals the age of a message only on receive, which counts as a delivery attempt. */
const UNKNOWN_AGE = html`<span class="quiet" title="The catalogue has no row for this work, and a queue does not report the age of its messages. On AWS, see ApproximateAgeOfOldestMessage in CloudWatch.">unknown</span>`

function deadSection(
  queue: QueueName,
  letters: readonly DeadLetter[],
  token: string | null,
  now: Date,
): Html {
  const form = (action: 'retry' | 'dismiss', field: Html, button: Html, classes = '') =>
    html`<form method="post" action="/queues/${queue}/${action}" class="${classes}">${csrfField(token)}${field}${button}</form>`
  const ofAll = html`<input type="hidden" name="all" value="yes">`
  return html`<section aria-labelledby="dead-${queue}"><h2 id="dead-${queue}">Dead letters of ${queue}</h2>
<p class="quiet">A message that failed six times. <strong>Retry</strong> sends it back to its queue: use it when the cause in “Last error” is fixed. <strong>Dismiss</strong> removes a letter whose work was done without it.</p>
${table<DeadLetter>({
  id: `dead-${queue}-table`,
  caption: `The first ${letters.length} dead letters of ${queue}`,
  captionHidden: true,
  cards: true,
  rows: letters,
  empty: 'Another process is reading them: reload the page in a minute.',
  columns: [
    { head: 'About', heads: true, cell: ({ about }) => aboutOf(about) },
    { head: 'Last error', prose: true, cell: outcomeOf },
    { head: 'Age', numeric: true, cell: ({ sentAt }) => (sentAt === null ? '–' : ageOf(sentAt, now)) },
    { head: 'Attempts', numeric: true, roomy: true, cell: ({ attempts }) => attempts ?? '–' },
    {
      head: html`<span class="unseen">Action</span>`,
      cell: ({ id, about, isFinished }) => {
        const [action, label] = isFinished ? (['dismiss', 'Dismiss'] as const) : (['retry', 'Retry'] as const)
        const button = html`<button aria-label="${label} ${about}">${label}</button>`
        return form(action, html`<input type="hidden" name="message" value="${id}">`, button)
      },
    },
  ],
})}
${form('retry', ofAll, html`<button>Retry all of ${queue}</button>`, 'actions')}
${letters.some(({ isFinished }) => isFinished) ? form('dismiss', ofAll, html`<button>Dismiss all finished of ${queue}</button>`, 'actions') : NOTHING}
</section>`
}

/** The state of finished work instead of an error that is over. */
const outcomeOf = ({ isFinished, state, lastError }: DeadLetter): string => {
  if (isFinished) return `finished: ${[state, lastError].filter((text) => text !== null).join(', ')}`
  return lastError ?? (state === null ? 'none in the catalogue' : `none, it is ${state}`)
}

/**
 * A `bucket/key` of a run is a link to the run's page, which has more details even if the run is not
 * catalogued.
 */
function aboutOf(about: string): Html {
  const run = parseRunKey(about.slice(about.indexOf('/') + 1))
  const code = html`<code class="address">${about}</code>`
  return run === null ? code : html`<a href="${runPath(run)}">${code}</a>`
}

type Parked = Awaited<ReturnType<typeof listParked>>[number]

const parkedTable = (parked: readonly Parked[], now: Date): Html =>
  table<Parked>({
    id: 'parked',
    caption: 'Kept for inspection; cygnet dead show prints one in full',
    captionHidden: true,
    cards: true,
    rows: parked,
    empty: 'None. A notification that no known store could have sent is kept here instead of being lost.',
    columns: [
      { head: 'Id', heads: true, cell: ({ id }) => `p${id}` },
      { head: 'First', cell: ({ receivedAt: at }) => whenOf(at, now) },
      { head: 'Times', numeric: true, cell: ({ times }) => times },
      { head: 'Why', prose: true, cell: ({ reason }) => reason },
      { head: 'Begins with', cell: ({ body }) => html`<code class="address">${cutText(body, 200)}</code>` },
    ],
  })

/**
 * History: the events of a run in chronological order, from the catalogue's history, requests to other
 * functions, and its copies.
 */
import { html } from 'hono/html'
import type { ShownCopy } from '../../../shared/database/replica-schema.ts'
import type { RunDetails } from '../../../shared/queries/runs.ts'
import { timeText } from '../../../shared/time/text.ts'
import { counted } from './format.ts'
import { type Content, type Html, mark, NOTHING, table, timeOf } from './parts.ts'
import { PLACES } from './run-marks.ts'

export interface Step {
  readonly at: Date
  readonly what: string
  readonly detail: Content
  /** A person, a machine or a part of Cygnet; null if not recorded. */
  readonly by: string | null
}

/** The newest steps are shown; up to this many older ones are folded. */
const SHOWN = 25
const FOLDED = 200

export function historySection(details: RunDetails): Html {
  const steps = stepsOf(details)
  const older = steps.slice(-SHOWN - FOLDED, -SHOWN)
  const left = Math.max(0, steps.length - SHOWN - FOLDED)
  return html`<section aria-labelledby="history"><h2 id="history">History</h2>
${older.length === 0 ? NOTHING : html`<details><summary>${counted(older.length, 'older step')}</summary>${left === 0 ? NOTHING : html`<p class="quiet">${counted(left, 'step')} before these: the API lists all.</p>`}${stepTable('older-steps', 'Older steps', older)}</details>`}
${stepTable('steps', 'Oldest first', steps.slice(-SHOWN))}</section>`
}

const stepTable = (id: string, caption: string, rows: readonly Step[]): Html =>
  table<Step>({
    id,
    caption,
    captionHidden: true,
    rows,
    empty: 'No step is recorded.',
    columns: [
      { head: 'At (UTC)', cell: ({ at }) => timeOf(at) },
      { head: 'What', heads: true, cell: ({ what }) => what },
      {
        head: 'Details',
        prose: true,
        cell: ({ detail, by }) => html`${detail}${by === null ? NOTHING : html`, by ${by}`}`,
      },
    ],
  })

/** All steps, newest last; at equal times, those of copies first. */
export function stepsOf({
  history,
  requests,
  replicas,
}: Pick<RunDetails, 'history' | 'requests' | 'replicas'>): readonly Step[] {
  const steps = [
    ...replicas.flatMap((replica) => stepsOfCopy(replica, history)),
    ...history.map((line) => ({ ...line, by: null })),
    ...requests.map(stepOfRequest),
  ]
  return steps.toSorted((a, b) => a.at.getTime() - b.at.getTime())
}

const REQUEST_TEXTS: Readonly<Record<string, string>> = {
  'tape-requests': 'copy to tape requested',
  'recall-requests': 'recall requested',
  'reco-requests': 'reconstruction requested',
  alerts: 'alert',
}

function stepOfRequest({ queue, name, createdAt, sentAt }: RunDetails['requests'][number]): Step {
  const state = sentAt === null ? html`${mark('waiting', 'not sent yet')} ` : NOTHING
  return {
    at: createdAt,
    what: REQUEST_TEXTS[queue] ?? queue,
    detail: html`${state}<code class="name">${name}</code>`,
    by: null,
  }
}

/**
 * One step for all events within the same second. Events that a line of the history reports for the same
 * second are omitted.
 */
function stepsOfCopy(replica: ShownCopy, history: RunDetails['history']): readonly Step[] {
  const isInHistory = (at: Date) =>
    history.some((line) => timeText(line.at) === timeText(at) && line.detail.includes(replica.objectKey))
  const times = [
    ['requested', replica.requestedAt],
    ['started', replica.startedAt],
    ['stored', replica.storedAt],
    ['verified', replica.verifiedAt],
    ['deleted', replica.deletedAt],
  ] as const
  const missing = times.flatMap(([word, at]) => (at === null || isInHistory(at) ? [] : [{ word, at }]))
  return [...Map.groupBy(missing, ({ at }) => timeText(at)).values()].flatMap((same) => {
    const words = same.map(({ word }) => word)
    const [first] = same
    if (first === undefined) return []
    const how = words.includes('verified') ? replica.verifiedBy : null
    // Within one second, "stored" implies "started".
    const shownWords = words.includes('stored') ? words.filter((word) => word !== 'started') : words
    const what = `${PLACES[replica.kind]}: ${shownWords.join(', ')}`
    return [
      {
        at: first.at,
        what,
        detail: how ?? html`<code class="name">${replica.url}</code>`,
        by: words.includes('requested') ? replica.requestedBy : null,
      },
    ]
  })
}

/**
 * What happened to a run in the order of time: told by the catalogue, asked of other functions, and done with
 * its copies.
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
  /** A person, a machine or a part of Cygnet; null where it is not noted. */
  readonly by: string | null
}

/** The newest are shown, so many before them are folded away. */
const SHOWN = 25
const FOLDED = 200

export function historySection(details: RunDetails): Html {
  const steps = stepsOf(details)
  const older = steps.slice(-SHOWN - FOLDED, -SHOWN)
  const left = Math.max(0, steps.length - SHOWN - FOLDED)
  return html`<section aria-labelledby="history"><h2 id="history">History</h2>
${older.length === 0 ? NOTHING : html`<details><summary>${counted(older.length, 'older step')}</summary>${left === 0 ? NOTHING : html`<p class="quiet">${counted(left, 'step')} before these: the API tells them all.</p>`}${stepTable('older-steps', 'Older steps', older)}</details>`}
${stepTable('steps', 'What happened, the newest last', steps.slice(-SHOWN))}</section>`
}

const stepTable = (id: string, caption: string, rows: readonly Step[]): Html =>
  table<Step>({
    id,
    caption,
    captionHidden: true,
    rows,
    empty: 'Nothing is noted.',
    columns: [
      { head: 'At (UTC)', cell: ({ at }) => timeOf(at) },
      { head: 'What', heads: true, cell: ({ what }) => what },
      {
        head: 'Detail, by whom',
        prose: true,
        cell: ({ detail, by }) => html`${detail}${by === null ? NOTHING : html`, by ${by}`}`,
      },
    ],
  })

/** All of them, the newest last; of what is of one time, the copies first. */
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

const ASKED: Readonly<Record<string, string>> = {
  'tape-requests': 'copy to tape asked for',
  'recall-requests': 'recall asked for',
  'reco-requests': 'reconstruction asked for',
  alerts: 'alert',
}

function stepOfRequest({ queue, name, createdAt, sentAt }: RunDetails['requests'][number]): Step {
  const state = sentAt === null ? html`${mark('waiting', 'not sent yet')} ` : NOTHING
  return {
    at: createdAt,
    what: ASKED[queue] ?? queue,
    detail: html`${state}<code class="name">${name}</code>`,
    by: null,
  }
}

/**
 * One step for all that is of one second; what a line of the history tells of the same second is not told
 * again.
 */
function stepsOfCopy(replica: ShownCopy, history: RunDetails['history']): readonly Step[] {
  const isTold = (at: Date) =>
    history.some((line) => timeText(line.at) === timeText(at) && line.detail.includes(replica.objectKey))
  const times = [
    ['asked for', replica.requestedAt],
    ['begun', replica.startedAt],
    ['stored', replica.storedAt],
    ['verified', replica.verifiedAt],
    ['deleted', replica.deletedAt],
  ] as const
  const untold = times.flatMap(([word, at]) => (at === null || isTold(at) ? [] : [{ word, at }]))
  return [...Map.groupBy(untold, ({ at }) => timeText(at)).values()].flatMap((same) => {
    const words = same.map(({ word }) => word)
    const [first] = same
    if (first === undefined) return []
    const how = words.includes('verified') ? replica.verifiedBy : null
    // Of one second it needs not be told that it was begun.
    const told = words.includes('stored') ? words.filter((word) => word !== 'begun') : words
    const what = `${PLACES[replica.kind]}: ${told.join(', ')}`
    return [
      {
        at: first.at,
        what,
        detail: how ?? html`<code class="name">${replica.url}</code>`,
        by: words.includes('asked for') ? replica.requestedBy : null,
      },
    ]
  })
}

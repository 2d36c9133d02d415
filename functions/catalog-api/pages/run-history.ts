/**
 * What happened to a run, newest first, from the catalogue's history, requests to other functions, and its
 * copies.
 */
import { html } from 'hono/html'
import type { CopyKind, ShownCopy } from '../../../shared/database/replica-schema.ts'
import type { RunDetails } from '../../../shared/queries/runs.ts'
import { shortened } from '../../../shared/text.ts'
import { timeText } from '../../../shared/time/text.ts'
import { count, counted } from './format.ts'
import { agoOf, type Content, fold, type Html, mark, NOTHING, timeOf } from './parts.ts'

export interface Step {
  readonly at: Date
  readonly what: string
  readonly detail: Content
  /** Names of jobs and addresses, folded. */
  readonly more: string | null
  /** A person, a machine or a part of Cygnet; null if not recorded. */
  readonly by: string | null
}

/** The newest steps are shown; up to this many older ones are folded. */
const SHOWN = 12
const FOLDED = 200
/** A longer detail is cut, and folded in full. */
const MOST_CHARACTERS = 140

export function historySection(details: RunDetails, now: Date): Html {
  const steps = repeatedTogether(stepsOf(details).toReversed())
  const older = steps.slice(SHOWN, SHOWN + FOLDED)
  const left = Math.max(0, steps.length - SHOWN - FOLDED)
  const list = (own: readonly Repeated[]) =>
    html`<ol class="timeline">${own.map((same) => stepItem(same, now))}</ol>`
  return html`<section class="card happened" aria-labelledby="history"><h2 id="history">What happened</h2>
${steps.length === 0 ? html`<p class="empty">No step is recorded.</p>` : list(steps.slice(0, SHOWN))}
${older.length === 0 ? NOTHING : fold('older-steps', counted(older.length, 'older step'), html`${list(older)}${left === 0 ? NOTHING : html`<p class="quiet">${counted(left, 'step')} before these: the API lists all.</p>`}`)}</section>`
}

type Repeated = readonly [newest: Step, ...before: Step[]]

/** Consecutive steps of the same kind, such as sixty failed attempts, are one item: the newest with a count. */
function repeatedTogether(steps: readonly Step[]): readonly Repeated[] {
  const groups: [Step, ...Step[]][] = []
  for (const step of steps) {
    const last = groups.at(-1)
    if (last !== undefined && last[0].what === step.what && step.more === null) last.push(step)
    else groups.push([step])
  }
  return groups
}

function stepItem([{ at, what, detail, more, by }, ...before]: Repeated, now: Date): Html {
  const [icon, tone] = ICONS.find(([, , has]) => has.test(what)) ?? OTHER
  const brief = typeof detail === 'string' ? briefly(detail) : detail
  const full = [
    ...(brief === detail ? [] : [String(detail)]),
    ...(more === null ? [] : [more]),
    ...before.slice(0, FOLDED).map((same) => `${timeText(same.at)} UTC  ${same.detail}`),
  ]
  const times = before.length === 0 ? NOTHING : html` ${count(before.length + 1)} times, the last time`
  const line = html`<strong>${what}</strong>${times} <span class="quiet">${brief}${by === null ? NOTHING : html` by ${by}`}</span>`
  const inFull = html`<code class="address">${full.join('\n')}</code>`
  return html`<li><span class="icon ${tone}" aria-hidden="true">${icon}</span><div>${full.length === 0 ? html`<p>${line}</p>` : html`<details id="step-${at.getTime()}-${what.replaceAll(/\W+/g, '-')}"><summary>${line}</summary>${timeOf(at)}${inFull}</details>`}</div><span class="age quiet">${agoOf(at, now)}</span></li>\n`
}

/** What a step is about, by its words: the first that fits. */
const ICONS: readonly (readonly [icon: string, tone: string, has: RegExp])[] = [
  ['▲', 'bad', /fail|suspicious|missing|refused|unreadable|impossible|taken|overwritten|not seen/],
  ['×', 'none', /deleted|gone|over$/],
  ['✓', 'done', /verified|catalogued|stored|on tape$|back in the store/],
  ['○', 'waiting', /requested|asked|alert/],
]
const OTHER = ['•', 'none'] as const

/** Checksums and ids by their first characters, and the whole cut where it is long. */
const briefly = (text: string): string =>
  shortened(text.replaceAll(/\b([0-9a-f]{8})[0-9a-f]{8,}\b/g, '$1…'), MOST_CHARACTERS)

/** All steps, newest last; at equal times, those of copies first. */
export function stepsOf({
  history,
  requests,
  replicas,
}: Pick<RunDetails, 'history' | 'requests' | 'replicas'>): readonly Step[] {
  const steps = [
    ...replicas.flatMap((replica) => stepsOfCopy(replica, history)),
    ...history.map((line) => ({ ...line, more: null, by: null })),
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
  return {
    at: createdAt,
    what: name.startsWith('resolved:') ? 'alert is over' : (REQUEST_TEXTS[queue] ?? queue),
    detail: sentAt === null ? mark('waiting', 'not sent yet') : '',
    more: name,
    by: null,
  }
}

const OBJECTS: Readonly<Record<CopyKind, string>> = {
  local: 'the file on the DAQ disk',
  cloud: 'the object in the store',
  tape: 'the copy on tape',
  recall: 'the recall from tape',
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
    return [
      {
        at: first.at,
        what: shownWords.join(', '),
        detail: html`${OBJECTS[replica.kind]}${how === null ? NOTHING : html`: ${how}`}`,
        more: replica.url,
        by: words.includes('requested') ? replica.requestedBy : null,
      },
    ]
  })
}

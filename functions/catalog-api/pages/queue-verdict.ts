/** What is stuck, why, and what helps: the answer at the top of the page Queues. Pure. */
import type { OpenBreaker } from '../../../shared/queries/open-breakers.ts'
import type { CopiesInState } from '../../../shared/queries/site-state.ts'
import { copyText, PLACES } from '../../../shared/queries/state-words.ts'
import type { FailingArrivals } from '../../../shared/queries/waiting-work.ts'
import type { QueueName } from '../../../shared/queue/queues.ts'
import type { QueueState } from '../api/queue-states.ts'
import { counted } from './format.ts'
import type { Tone } from './parts.ts'

/** What each queue carries, in words for people. */
export const QUEUE_TEXTS: Readonly<Record<QueueName, string>> = {
  runs: 'objects to be catalogued',
  'tape-requests': 'copies to tape',
  'recall-requests': 'recalls from tape',
  'reco-requests': 'reconstructions',
  alerts: 'alerts',
}

/** Nothing reads these yet: what waits there is not stuck. */
export const WITHOUT_READER: readonly QueueName[] = ['reco-requests']

export interface Stuck {
  readonly tone: Extract<Tone, 'bad' | 'waiting'>
  readonly what: string
  readonly path: string
  readonly why: string | null
  readonly helps: string
  /** Since when, or for how long the oldest has waited; null if unknown. */
  readonly since: Date | null
  /** The next attempt that needs nobody; null if there is none. */
  readonly next: Date | null
}

/** Cataloguing takes minutes for the largest runs; work that is due for longer is stuck. */
const LATE_MS = 30 * 60_000

export interface QueuesShown {
  readonly states: readonly QueueState[]
  /** The oldest work of each queue that is due. */
  readonly oldest: ReadonlyMap<QueueName, Date>
  readonly failing: FailingArrivals | null
  readonly breakers: readonly OpenBreaker[]
  readonly copies: readonly (CopiesInState & { readonly tag: string })[]
  readonly now: Date
}

export function stuckWork({ states, oldest, failing, breakers, copies, now }: QueuesShown): readonly Stuck[] {
  return [
    ...states.flatMap(ofLetters),
    ...states.flatMap(({ queue, depth }): readonly Stuck[] =>
      depth !== null
        ? []
        : [
            {
              tone: 'bad',
              what: `${queue} does not answer`,
              path: `#${queue}`,
              why: 'The queue service cannot be reached.',
              helps: 'Start it again. Meanwhile the work goes on: due rows are found every minute.',
              since: null,
              next: null,
            },
          ],
    ),
    ...breakers.map(ofBreaker),
    ...(failing === null ? [] : [ofFailing(failing)]),
    ...copies.flatMap(ofCopies),
    ...states.flatMap(({ queue }) => ofAge(queue, oldest.get(queue) ?? null, now)),
  ]
}

function ofLetters({ queue, dead }: QueueState): readonly Stuck[] {
  if (dead === 0) return []
  return [
    {
      tone: 'bad',
      what: `${counted(dead, 'dead letter')} of ${queue}`,
      path: `#dead-${queue}`,
      why: 'Each failed six times. The list below has the last error of each.',
      helps: '“Retry” once the cause is fixed; “Dismiss” where the work is done already.',
      since: null,
      next: null,
    },
  ]
}

function ofBreaker({ dependency, openSince, probeAt, lastError }: OpenBreaker): Stuck {
  const [kind, name] = [
    dependency.slice(0, dependency.indexOf(':')),
    dependency.slice(dependency.indexOf(':') + 1),
  ]
  return {
    tone: 'bad',
    what: kind === 'store' ? `the bucket ${name} fails` : `the tape endpoint ${name} fails`,
    path: '/replicas',
    why: lastError,
    helps: 'No button is needed: once it works again, all work continues by itself.',
    since: openSince,
    next: probeAt,
  }
}

const ofFailing = ({ files, since, nextAttemptAt, lastError }: FailingArrivals): Stuck => ({
  tone: 'bad',
  what: `${counted(files, 'file')} could not be catalogued so far`,
  path: '#runs',
  why: lastError,
  helps: 'Each is tried again after growing delays, in the end once a day; cygnet replay tries at once.',
  since,
  next: nextAttemptAt,
})

function ofCopies({
  tag,
  kind,
  state,
  count: all,
  failing,
  givenUp,
  lastError,
  oldest,
}: CopiesInState & { readonly tag: string }): readonly Stuck[] {
  const isFailed = state === 'failed'
  if (!isFailed && failing === 0) return []
  const what = kind === 'recall' ? 'recall' : `copy to ${PLACES[kind]}`
  const many = kind === 'recall' ? 'recalls' : `copies to ${PLACES[kind]}`
  return [
    {
      tone: 'bad',
      what: isFailed
        ? `${tag}: ${counted(all, what, many)} failed${givenUp ? ', not tried again' : ''}`
        : `${tag}: ${counted(failing, what, many)} failing (${copyText(state)})`,
      path:
        isFailed && kind === 'tape'
          ? `/runs?${new URLSearchParams({ tag, problem: 'tape-failed' })}`
          : `/replicas?${new URLSearchParams({ tag })}`,
      why: lastError,
      helps: helpOf(kind, isFailed, givenUp),
      since: oldest,
      next: null,
    },
  ]
}

function helpOf(kind: CopiesInState['kind'], isFailed: boolean, givenUp: boolean): string {
  if (givenUp)
    return kind === 'recall'
      ? 'It is not tried again by itself: request the recall again once the cause is removed.'
      : "It is not tried again by itself. If the store no longer has the contents, find the file on the DAQ's disk and push it again."
  return isFailed && kind === 'tape'
    ? 'Tried again every six hours; the page of each run has the error.'
    : 'Tried again by itself after growing delays.'
}

function ofAge(queue: QueueName, at: Date | null, now: Date): readonly Stuck[] {
  if (at === null || WITHOUT_READER.includes(queue) || now.getTime() - at.getTime() <= LATE_MS) return []
  return [
    {
      tone: 'waiting',
      what: `${QUEUE_TEXTS[queue]} are late (${queue})`,
      path: `#${queue}`,
      why: 'The oldest is due and is not being worked on, or its function takes long.',
      helps: 'Check that its function runs: its log has a line for each attempt (cygnet logs).',
      since: at,
      next: null,
    },
  ]
}

/**
 * The retry policy of all kinds of task: from an ending to the change of its row. Pure except for the jitter.
 */
import type { Task } from '../database/work-schema.ts'
import { nextCheckAt, retryAt } from './back-off.ts'
import type { Ending } from './task-kind.ts'
import type { TaskChange } from './tasks.ts'

/** From this number of failures on the state is `failing` and the kind alerts; attempts continue. */
export const ATTEMPTS_BEFORE_FAILING = 6

/** Endings after which the work is still to be done. */
export type UnfinishedEnding = Extract<
  Ending<unknown>['kind'],
  'failed' | 'busy' | 'interrupted' | 'unavailable'
>

export interface Retry {
  /** Includes the attempt that has ended only if it failed: only failures count. */
  readonly attempts: number
  readonly isFailing: boolean
  readonly nextAttemptAt: Date
}

/** When work is tried again. @param attempts including the one that has ended. */
export function retryOf(attempts: number, ending: UnfinishedEnding, at: Date): Retry {
  const counted = ending === 'failed' ? attempts : Math.max(0, attempts - 1)
  const isFailing = counted >= ATTEMPTS_BEFORE_FAILING
  if (ending === 'failed') return { attempts, isFailing, nextAttemptAt: retryAt(at, attempts) }
  return {
    attempts: counted,
    isFailing,
    nextAttemptAt: ending === 'interrupted' ? at : nextCheckAt(at, null),
  }
}

/** The change of a task's row that follows from how its attempt ended. */
export function changeOf(task: Task, ending: Ending<unknown>, at: Date): TaskChange {
  const { generation } = task
  const uncounted = Math.max(0, task.attempts - 1)
  const { deadlineAt } = task
  const isPastDeadline = deadlineAt !== null && at >= deadlineAt
  const inTime = (next: Date) => (deadlineAt !== null && deadlineAt < next ? deadlineAt : next)
  if (isPastDeadline && isUnfinished(ending)) {
    // An external service that has only now been asked is not what took the time.
    const isNew = ending.kind === 'pending' && task.state !== 'pending'
    const reason = (isNew ? task.lastError : null) ?? ending.reason ?? 'an external service still works on it'
    return { state: 'given-up', lastError: `it was not done in time: ${reason}` }
  }
  switch (ending.kind) {
    case 'done':
      return { state: 'done', attempts: 0, lastError: null, generation }
    case 'pending': {
      const { reference, reason, takesTurn } = ending
      const isSame = reference === undefined || JSON.stringify(reference) === JSON.stringify(task.reference)
      const next = inTime(nextCheckAt(at, isSame ? task.startedAt : null))
      return { state: 'pending', reference, generation, takesTurn, lastError: reason, nextAttemptAt: next }
    }
    case 'ready':
      return { state: 'waiting', attempts: uncounted, lastError: null, nextAttemptAt: at }
    case 'restarted':
      return { state: 'waiting', attempts: 0, lastError: ending.reason, nextAttemptAt: at, generation }
    case 'busy':
    case 'interrupted':
    case 'unavailable': {
      const { attempts, isFailing, nextAttemptAt } = retryOf(task.attempts, ending.kind, at)
      const isPending = task.state === 'pending'
      const state = isPending ? 'pending' : isFailing ? 'failing' : 'waiting'
      // Being stopped is not an error of the task.
      const stopped = state === 'failing' ? task.lastError : null
      return {
        state,
        attempts: isPending ? task.attempts : attempts,
        lastError: ending.kind === 'interrupted' ? stopped : ending.reason,
        ...(isPending || ending.kind === 'busy' || attempts > 0 ? {} : { startedAt: null }),
        nextAttemptAt: ending.kind === 'interrupted' ? at : inTime(untilOf(ending) ?? nextAttemptAt),
      }
    }
    case 'given-up':
      return { state: 'given-up', lastError: ending.reason, generation }
    case 'failed': {
      const { isFailing, nextAttemptAt } = retryOf(task.attempts, ending.kind, at)
      return {
        state: isFailing ? 'failing' : 'waiting',
        lastError: ending.reason,
        nextAttemptAt: inTime(nextAttemptAt),
        ...(ending.jobEnded ? { reference: null, generation: generation + 1 } : {}),
      }
    }
  }
}

const untilOf = (ending: Ending<unknown>) => (ending.kind === 'busy' ? ending.until : undefined)

/** Endings after which the task is checked or tried again until its deadline. */
const isUnfinished = (ending: Ending<unknown>) =>
  ending.kind === 'pending' ||
  ending.kind === 'interrupted' ||
  ending.kind === 'busy' ||
  ending.kind === 'unavailable' ||
  ending.kind === 'failed'

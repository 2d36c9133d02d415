/** The retry policy of all kinds of task: what an ending means for its row. Pure but for the jitter. */
import type { Task } from '../database/work-schema.ts'
import { nextLookAt, retryAt } from './back-off.ts'
import type { Ending } from './task-kind.ts'
import type { TaskChange } from './tasks.ts'

/** From then on the state says that the work fails, and the kind alerts; it goes on being tried all the same. */
export const ATTEMPTS_BEFORE_FAILING = 6

/** How an attempt ended after which the work is still to be done. */
export type Undone = Extract<Ending<unknown>['kind'], 'failed' | 'busy' | 'interrupted' | 'unavailable'>

export interface Retry {
  /** Without the one that has ended, unless it failed: only failures count. */
  readonly attempts: number
  readonly isFailing: boolean
  readonly nextAttemptAt: Date
}

/** When work is tried again. @param attempts with the one that has ended. */
export function retryOf(attempts: number, ending: Undone, at: Date): Retry {
  const counted = ending === 'failed' ? attempts : Math.max(0, attempts - 1)
  const isFailing = counted >= ATTEMPTS_BEFORE_FAILING
  if (ending === 'failed') return { attempts, isFailing, nextAttemptAt: retryAt(at, attempts) }
  return { attempts: counted, isFailing, nextAttemptAt: ending === 'interrupted' ? at : nextLookAt(at, null) }
}

/** What an ending means for the row: the retry policy of all kinds. */
export function changeOf(task: Task, ending: Ending<unknown>, at: Date): TaskChange {
  const { generation } = task
  const uncounted = Math.max(0, task.attempts - 1)
  const { deadlineAt } = task
  const isTooLate = deadlineAt !== null && at >= deadlineAt
  const inTime = (next: Date) => (deadlineAt !== null && deadlineAt < next ? deadlineAt : next)
  if (isTooLate && isUnfinished(ending)) {
    const reason = ending.reason ?? 'an external service still works on it'
    return { state: 'given-up', lastError: `it was not done in time: ${reason}` }
  }
  switch (ending.kind) {
    case 'done':
      return { state: 'done', attempts: 0, lastError: null, generation }
    case 'pending': {
      const { reference, reason, takesTurn } = ending
      const isSame = reference === undefined || JSON.stringify(reference) === JSON.stringify(task.reference)
      const next = inTime(nextLookAt(at, isSame ? task.startedAt : null))
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
      // That it was stopped is nothing that is wrong with it.
      const stopped = state === 'failing' ? task.lastError : null
      return {
        state,
        attempts: isPending ? task.attempts : attempts,
        lastError: ending.kind === 'interrupted' ? stopped : ending.reason,
        nextAttemptAt: ending.kind === 'interrupted' ? at : inTime(nextAttemptAt),
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

/** What is waited for, or tried again, until the deadline. */
const isUnfinished = (ending: Ending<unknown>) =>
  ending.kind === 'pending' ||
  ending.kind === 'busy' ||
  ending.kind === 'unavailable' ||
  ending.kind === 'failed'

/** A kind of work with a side effect outside the database, and how an attempt at it ends. */
import type { Transaction } from 'kysely'
import type { Context } from '../context.ts'
import type { Schema } from '../database/schema.ts'
import type { Reference, Task } from '../database/work-schema.ts'
import type { Logger } from '../log.ts'
import type { Request } from './outbox.ts'
import type { TaskChange } from './tasks.ts'
import type { Trail } from './trail.ts'

/** How an attempt ended. `Result` is what the kind knows of it. */
export type Ending<Result> =
  /** `result` null: the facts said so already. */
  | { readonly kind: 'done'; readonly result: Result | null }
  /** Something outside works on it, or it waits for something there: checked again later, no failure. */
  | {
      readonly kind: 'pending'
      /** Left out: as the row has it. */
      readonly reference?: Reference | null
      readonly reason: string | null
      readonly result: Result | null
      /** It counts towards the most that may be in progress at once. */
      readonly takesTurn: boolean
    }
  /** Somebody else does the same just now: tried again soon, no failure. */
  | { readonly kind: 'busy'; readonly reason: string }
  /** It goes on at once in another way, without the failures of before. */
  | { readonly kind: 'restarted'; readonly reason: string; readonly result: Result }
  /** The outside has done its part: the task goes on here, at once. */
  | { readonly kind: 'ready' }
  /** `jobEnded`: the job outside is over, the next attempt asks for another. */
  | {
      readonly kind: 'failed'
      readonly reason: string
      readonly jobEnded: boolean
      /** What the task is about is wrong, not the place. */
      readonly isInvalid?: boolean
    }
  /** No further attempt can help. */
  | { readonly kind: 'given-up'; readonly reason: string; readonly result: Result | null }
  /** The function was stopped from outside: the attempt does not count. */
  | { readonly kind: 'interrupted'; readonly reason: string }
  /** What the task needs fails, and its breaker is open: the attempt does not count. */
  | { readonly kind: 'unavailable'; readonly reason: string }

/** To be done: `jobEnded` when a job outside that should have done it is over. */
export interface ToDo {
  readonly kind: 'to-do'
  readonly jobEnded: string | null
}

/** What check found. `unasked`: without the dependency, of which it says nothing. */
export type Checked<Result> = (Ending<Result> | ToDo) & { readonly unasked?: true }

export interface Work<Subject> {
  /** As claimed. */
  readonly task: Task
  readonly subject: Subject
  readonly trail: Trail
}

/** What every kind of work needs; each may need more. */
export type TaskContext = Context<'database' | 'queues'>

/** A kind of work. All that is special about it; never when or how often it is tried. */
export interface TaskKind<Host extends TaskContext, Subject, Result> {
  readonly kind: string
  /** What the task is about, read after the claim; null when it is gone: then the task is given up. */
  load(context: Host, task: Task): Promise<Subject | null>
  /** Fields for every log line of the task: run, tag, key. */
  fields(subject: Subject): Readonly<Record<string, unknown>>
  /** How the task ends when the facts want no work any more: somebody else has seen to it, or found it wrong. */
  settled(subject: Subject): Ending<Result> | null
  /**
   * Whether the side effect has happened already, or is happening. Changes nothing, but may have the outside
   * prepare what act needs.
   */
  check(context: Host, work: Work<Subject>, signal: AbortSignal): Promise<Checked<Result>>
  /**
   * Makes the side effect. `generation` tells a new job from a request that is repeated because its answer was
   * lost.
   */
  act(context: Host, work: Work<Subject>, generation: number, signal: AbortSignal): Promise<Ending<Result>>
  /**
   * Called for every ending after which nothing more is tried, before it is recorded and while the lease is
   * held: clears away what only this task needs. Not bound by the time of the attempt. What it throws is logged,
   * and the ending recorded all the same; if the function is being stopped, the next one does it again.
   */
  beforeEnd?(context: Host, work: Work<Subject>, ending: Ending<Result>, signal: AbortSignal): Promise<void>
  /** Locks the run of the subject, before any of its rows is written. @returns its id. */
  lock(trx: Transaction<Schema>, subject: Subject): Promise<number>
  /**
   * Writes the facts and the run's history, in the transaction that has ended the attempt.
   * @returns the requests that follow.
   */
  outcome(
    trx: Transaction<Schema>,
    context: Host,
    work: Work<Subject>,
    ended: {
      readonly ending: Ending<Result>
      readonly change: TaskChange
      /** Check found that the side effect has not happened: facts that say otherwise are wrong. */
      readonly wasToDo: boolean
      readonly runId: number
      readonly at: Date
    },
  ): Promise<readonly Request[]>
  /** After an attempt was recorded: what else is to be checked now, given how it ended. Never repeated. */
  afterwards?(
    context: Host,
    work: Work<Subject>,
    ending: Ending<Result>,
    signal: AbortSignal,
    log: Logger,
  ): Promise<void>
  /** The alert when what the work needs fails; its name must hold since when. */
  dependencyAlert(dependency: string, since: Date, reason: string): Request
}

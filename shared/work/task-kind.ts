/** A kind of task: work with a side effect outside the database; and how an attempt at it ends. */
import type { Transaction } from 'kysely'
import type { Context } from '../context.ts'
import type { Schema } from '../database/schema.ts'
import type { Reference, Task } from '../database/work-schema.ts'
import type { Logger } from '../log.ts'
import type { Request } from './outbox.ts'
import type { TaskChange } from './tasks.ts'
import type { Trail } from './trail.ts'

/** How an attempt ended. `Result` is defined by the kind. */
export type Ending<Result> =
  /** `result` null: the facts already showed it. */
  | { readonly kind: 'done'; readonly result: Result | null }
  /** An external service works on it, or it waits for one: checked again later, not a failure. */
  | {
      readonly kind: 'pending'
      /** Left out: the row's reference stays unchanged. */
      readonly reference?: Reference | null
      readonly reason: string | null
      readonly result: Result | null
      /** It counts towards the most that may be in progress at once. */
      readonly takesTurn: boolean
    }
  /**
   * Another process does conflicting work right now, or the service asks to come back later: tried again soon, or at
   * the stated time, not a failure.
   */
  | { readonly kind: 'busy'; readonly reason: string; readonly until?: Date }
  /** Continues at once in another way, with the count of failures reset. */
  | { readonly kind: 'restarted'; readonly reason: string; readonly result: Result }
  /** The external service has done its part: the task continues here, at once. */
  | { readonly kind: 'ready' }
  /** `jobEnded`: the external job is over, the next attempt requests a new one. */
  | {
      readonly kind: 'failed'
      readonly reason: string
      readonly jobEnded: boolean
      /** The subject of the task is invalid; the service is not at fault. */
      readonly isInvalid?: boolean
    }
  /** No further attempt can help. */
  | { readonly kind: 'given-up'; readonly reason: string; readonly result: Result | null }
  /** The function was stopped from outside: the attempt does not count. */
  | { readonly kind: 'interrupted'; readonly reason: string }
  /**
   * A dependency of the task fails, and its breaker is open: the attempt does not count. `mayBeOwn`: no other work
   * has failed there, so the fault may be that of the task, and its deadline applies.
   */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly mayBeOwn?: boolean }

/** `jobEnded`: the reason why an external job for it is over; null when there was none. */
export interface ToDo {
  readonly kind: 'to-do'
  readonly jobEnded: string | null
}

/**
 * The result of check. `dependencyUnused`: it was found without the dependency, so it is no evidence that the
 * dependency works.
 */
export type Checked<Result> = (Ending<Result> | ToDo) & { readonly dependencyUnused?: true }

export interface Work<Subject> {
  /** As claimed. */
  readonly task: Task
  readonly subject: Subject
  readonly trail: Trail
}

/** The capabilities that every kind needs; a kind may need more. */
export type TaskContext = Context<'database' | 'queues'>

/**
 * All that is specific to one kind of task. When and how often it is tried is the retry policy's.
 * `RunId`: null where its tasks may belong to no run.
 */
export interface TaskKind<Host extends TaskContext, Subject, Result, RunId extends number | null = number> {
  readonly kind: string
  /** Reads the subject of the task after the claim. Null when it no longer exists: the task is given up. */
  load(context: Host, task: Task): Promise<Subject | null>
  /** Fields for every log line of the task: run, tag, key. */
  fields(subject: Subject): Readonly<Record<string, unknown>>
  /** How the task ends when the facts show that no work is needed any more; null while it is needed. */
  settled(subject: Subject): Ending<Result> | null
  /**
   * Whether the side effect has already happened, or is in progress. Changes nothing, but may request the
   * external service to prepare what `act` needs.
   */
  check(context: Host, work: Work<Subject>, signal: AbortSignal): Promise<Checked<Result>>
  /**
   * Makes the side effect. A new `generation` means a new job; the same one again is a request that is
   * repeated because its answer was lost.
   */
  act(context: Host, work: Work<Subject>, generation: number, signal: AbortSignal): Promise<Ending<Result>>
  /**
   * Called for every final ending, before it is recorded and while the lease is held: removes what only this
   * task needs. The time limit of the attempt does not apply. An error is logged, and the ending is recorded
   * anyway; if the function is being stopped, the next attempt calls this again. Past the deadline of the task
   * there is no next attempt: it is called again at once with `interrupted` and has two seconds.
   */
  beforeEnd?(context: Host, work: Work<Subject>, ending: Ending<Result>, signal: AbortSignal): Promise<void>
  /** Locks the run of the subject, if it has one, before any of its rows is written. @returns its id. */
  lock(trx: Transaction<Schema>, subject: Subject): Promise<RunId>
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
      /** Check found that the side effect has not happened: facts that state otherwise are wrong. */
      readonly wasToDo: boolean
      readonly runId: RunId
      readonly at: Date
    },
  ): Promise<readonly Request[]>
  /** Called once after an attempt was recorded, for further checks that follow from how it ended. */
  afterwards?(
    context: Host,
    work: Work<Subject>,
    ending: Ending<Result>,
    signal: AbortSignal,
    log: Logger,
  ): Promise<void>
}

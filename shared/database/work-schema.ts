/** The tables of work with side effects outside the database, as TypeScript sees them. Times are UTC. */
import type { ColumnType, Generated, Selectable } from 'kysely'

type Defaulted<T> = ColumnType<T, T | undefined, T>
type Optional<T> = ColumnType<T | null, T | null | undefined, T | null>

/** What the outside calls the work it does for us: a job, a rule, a stage request. */
export type Reference = Readonly<Record<string, string>>

/**
 * waiting: to be done at `next_attempt_at`. running: a function does it (lease). pending: something outside
 * does it, checked at `next_attempt_at`. failing: as waiting, and has failed so often that people were
 * alerted. done; given-up: nothing more is tried until it is requested again.
 */
export type TaskState = 'waiting' | 'running' | 'pending' | 'failing' | 'done' | 'given-up'

/** One piece of work with a side effect outside the database. */
export interface TasksTable {
  id: Generated<number>
  kind: string
  /** Deterministic: the same work has the same name, and exists once. */
  name: string
  /** The row that the work is about, in the table that its kind names. */
  subjectId: number
  runId: number | null
  /** The circuit breaker of what the work needs: tasks are claimed for it. */
  dependency: string
  /** A second one: no task is claimed while it is open. */
  needs: Optional<string>
  state: TaskState
  priority: Defaulted<'live' | 'backlog'>
  requestedAt: Date
  requestedBy: string
  startedAt: Optional<Date>
  finishedAt: Optional<Date>
  /** Counts the attempt in progress; one that was stopped from outside does not count. */
  attempts: Defaulted<number>
  nextAttemptAt: Date
  /** After it nothing more is tried; null: for ever. */
  deadlineAt: Optional<Date>
  lastError: Optional<string>
  reference: ColumnType<Reference | null, string | null | undefined, string | null>
  /** Counts the jobs asked of the outside; a new one is asked only after the one before has failed. */
  generation: Defaulted<number>
  /** While it is pending: whether it counts towards the most that may be in progress at once. */
  takesTurn: Defaulted<boolean>
  leaseOwner: Optional<string>
  leaseUntil: Optional<Date>
}

/**
 * Circuit breakers, one per dependency, shared by all processes: closed while `open_since` is null, else open
 * until `probe_at`, when one piece of work may try.
 */
export interface BreakersTable {
  dependency: string
  /** In a row; those of one piece of work alone count once. */
  failures: Defaulted<number>
  /** The name of the task that failed last. */
  failedTask: Optional<string>
  /** What failed last: a question, or a side effect. */
  failedStep: Optional<'check' | 'act'>
  openSince: Optional<Date>
  probeAt: Optional<Date>
  lastError: Optional<string>
}

export type Task = Selectable<TasksTable>

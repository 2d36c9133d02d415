/** Types of the tables of work with side effects outside the database. Times are UTC. */
import type { ColumnType, Generated, Selectable } from 'kysely'

type Defaulted<T> = ColumnType<T, T | undefined, T>
type Optional<T> = ColumnType<T | null, T | null | undefined, T | null>

/** How an external service names the work that it does for Cygnet: a job, a rule, a stage request. */
export type Reference = Readonly<Record<string, string>>

/**
 * waiting: due at `next_attempt_at`. running: a function works on it (lease). pending: an external service
 * works on it, checked at `next_attempt_at`. failing: as waiting, after so many failures that people were
 * alerted. done; given-up: no further attempt until it is requested again.
 */
export type TaskState = 'waiting' | 'running' | 'pending' | 'failing' | 'done' | 'given-up'

/** One piece of work with a side effect outside the database. */
export interface TasksTable {
  id: Generated<number>
  kind: string
  /** Deterministic and unique: the same work has the same name. */
  name: string
  /** Id of the row that the work is about, in the table of its kind. */
  subjectId: number
  runId: number | null
  /** The circuit breaker of the dependency for which the task is claimed. */
  dependency: string
  /** A second circuit breaker: the task is not claimed while it is open. */
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
  /** No attempt is made after it; null: no deadline. */
  deadlineAt: Optional<Date>
  lastError: Optional<string>
  reference: ColumnType<Reference | null, string | null | undefined, string | null>
  /** Counts the external jobs. A new one is submitted only after the one before has failed. */
  generation: Defaulted<number>
  /** While it is pending: whether it counts towards the limit of tasks in progress. */
  takesTurn: Defaulted<boolean>
  leaseOwner: Optional<string>
  leaseUntil: Optional<Date>
}

/**
 * Circuit breakers, one per dependency, shared by all processes: closed while `open_since` is null, else open
 * until `probe_at`, when one task may try.
 */
export interface BreakersTable {
  dependency: string
  /** Consecutive failures; those of a single task count once. */
  failures: Defaulted<number>
  /** The name of the task that failed last. */
  failedTask: Optional<string>
  /** The step that failed last. */
  failedStep: Optional<'check' | 'act'>
  openSince: Optional<Date>
  probeAt: Optional<Date>
  lastError: Optional<string>
}

export type Task = Selectable<TasksTable>

/**
 * Tasks: rows of work with a side effect outside the database. A task is added in the transaction that writes
 * the facts it belongs to, claimed under a lease when it is due, and ended with its result. What happens in
 * between is in shared/work/advance.ts.
 */
import { type Expression, type SqlBool, sql, type Transaction } from 'kysely'
import { type Database, type Executor, inTransaction } from '../database/connect.ts'
import type { Schema } from '../database/schema.ts'
import type { Reference, Task, TaskState } from '../database/work-schema.ts'
import { cutText } from '../text.ts'
import { LONGEST_WAIT_MS, nextCheckAt } from './back-off.ts'
import { beginProbe, lockBreaker, openBreakers } from './breaker.ts'
import { isAttemptDue } from './due.ts'
import { assertHeld, DATABASE_NOW, isFree, type Lease, leaseFor, leaseOwner, NO_LEASE } from './lease.ts'

type Trx = Transaction<Schema>

export interface NewTask {
  readonly kind: string
  readonly subjectId: number
  readonly runId: number | null
  /** The breaker that must be closed for a claim, such as that of a tape endpoint. */
  readonly dependency: string
  /** A second breaker that must be closed as well; null: none. */
  readonly needs: string | null
  readonly priority: 'live' | 'backlog'
  readonly requestedBy: string
  readonly deadlineAt?: Date
}

/** One task for each kind and subject. */
const nameOf = ({ kind, subjectId }: Pick<NewTask, 'kind' | 'subjectId'>) => `${kind}:${subjectId}`

/** Adds a task. One that exists is left unchanged, except that a live request raises its priority to live. */
export async function addTask(trx: Trx, task: NewTask, at: Date): Promise<void> {
  const name = nameOf(task)
  await trx
    .insertInto('tasks')
    .values({ ...task, name, state: 'waiting', requestedAt: at, nextAttemptAt: at })
    .onDuplicateKeyUpdate(task.priority === 'backlog' ? { name } : { priority: 'live' })
    .execute()
}

/**
 * Restarts a task that has ended or waits for its next attempt. The next attempt requests a new external job,
 * unless the kind continues with the previous one (`keepsReference`). False while the task is in progress.
 */
export async function restartTask(
  trx: Trx,
  task: NewTask,
  at: Date,
  { keepsReference = false }: { readonly keepsReference?: boolean } = {},
): Promise<boolean> {
  const { dependency, needs, requestedBy, deadlineAt = null } = task
  const { numUpdatedRows } = await trx
    .updateTable('tasks')
    .set({
      dependency,
      needs,
      requestedBy,
      deadlineAt,
      state: 'waiting',
      requestedAt: at,
      startedAt: null,
      finishedAt: null,
      attempts: 0,
      nextAttemptAt: at,
      lastError: null,
      ...(keepsReference ? {} : { reference: null }),
      generation: sql<number>`generation + 1`,
    })
    .where('name', '=', nameOf(task))
    .where('state', 'in', ['done', 'given-up', 'waiting', 'failing'])
    .where(isFree())
    .executeTakeFirst()
  return numUpdatedRows === 1n || (await insertTask(trx, task, 'waiting', at))
}

/** Moves the deadline of an open task, but never to an earlier time. */
export async function extendDeadline(
  trx: Trx,
  task: Pick<NewTask, 'kind' | 'subjectId'>,
  deadlineAt: Date,
): Promise<void> {
  await trx
    .updateTable('tasks')
    .set({ deadlineAt })
    .where('name', '=', nameOf(task))
    .where('state', 'not in', ['done', 'given-up'])
    .where('deadlineAt', '<', deadlineAt)
    .execute()
}

/** The deadline now: a request may have extended it since the claim. */
export async function deadlineOf(database: Database, { id }: Task): Promise<Date | null> {
  const row = await database.selectFrom('tasks').select('deadlineAt').where('id', '=', id).executeTakeFirst()
  return row?.deadlineAt ?? null
}

/** The external result exists, whether or not it was requested: the task checks it until it is final. */
export async function followTask(trx: Trx, task: NewTask, at: Date): Promise<void> {
  if (await insertTask(trx, task, 'pending', at)) return
  const pendingColumns = { state: 'pending', takesTurn: false, startedAt: at, nextAttemptAt: at } as const
  await trx
    .updateTable('tasks')
    .set({ ...pendingColumns, finishedAt: null, lastError: null })
    .where('name', '=', nameOf(task))
    .where('state', 'in', ['done', 'given-up'])
    .execute()
}

/** False when the task exists. It may be missing: done tasks are purged. */
async function insertTask(trx: Trx, task: NewTask, state: 'waiting' | 'pending', at: Date): Promise<boolean> {
  const followed = state === 'pending' ? { takesTurn: false, startedAt: at } : {}
  const row = { ...task, ...followed, name: nameOf(task), state, requestedAt: at, nextAttemptAt: at }
  const { numInsertedOrUpdatedRows = 0n } = await trx
    .insertInto('tasks')
    .ignore()
    .values(row)
    .executeTakeFirst()
  return numInsertedOrUpdatedRows > 0n
}

export interface ClaimOptions {
  readonly kind: string
  readonly dependency: string
  /**
   * `due`: work to be done; at most `mostAtOnce` tasks are in progress at a time, here and externally.
   * `pending`: work that an external service is doing, to be checked.
   */
  readonly turn:
    | {
        readonly of: 'due'
        readonly mostAtOnce: number
        /** Only tasks that were not tried since they were requested. */
        readonly onlyUntried?: true
      }
    | {
        readonly of: 'pending'
        /** The check uses the second dependency as well: none while its breaker is open. */
        readonly usesNeeds?: true
      }
  readonly leaseSeconds: number
  readonly at: Date
}

export interface Claim {
  readonly task: Task
  readonly lease: Lease
  /** The previous function died, or stalled for longer than its lease. */
  readonly wasAbandoned: boolean
  /** The half-open breakers that this claim probes. */
  readonly probes: readonly string[]
}

/**
 * Claims the next due task: live before backlog, the oldest request first; of pending tasks the one whose check
 * is due for longest, so that many slow checks do not keep the younger tasks from theirs. Null when none is due, when
 * `mostAtOnce` tasks are in progress, or while a breaker that the task depends on is open.
 */
export async function claimTask(
  context: { readonly database: Database; readonly owner: string },
  options: ClaimOptions,
): Promise<Claim | null> {
  const { dependency, turn, at } = options
  if (!(await isAnyTakeable(context.database, options))) return null
  return await inTransaction(context.database, async (trx) => {
    const gate = await lockBreaker(trx, dependency, at)
    if (gate === 'open') return null
    if (turn.of === 'due' && (await countInProgress(trx, options)) >= turn.mostAtOnce) return null
    const chosen = await chooseTask(trx, options, gate === 'half-open')
    if (chosen === null) return null
    const { next, probes } = chosen
    for (const probed of probes) await beginProbe(trx, probed, at)
    const owner = leaseOwner(context)
    const taken =
      turn.of === 'pending'
        ? // If this function dies, other tasks are checked first.
          { nextAttemptAt: nextCheckAt(at, next.startedAt) }
        : { state: 'running' as const, attempts: next.attempts + 1, startedAt: at, leaseOwner: owner }
    await trx
      .updateTable('tasks')
      .set({ ...taken, ...leaseFor(owner, options.leaseSeconds) })
      .where('id', '=', next.id)
      .execute()
    const lease: Lease = { table: 'tasks', id: next.id, owner }
    return {
      task: { ...next, ...taken, leaseOwner: owner },
      lease,
      wasAbandoned: next.state === 'running',
      probes,
    }
  })
}

/**
 * The task to claim. While a breaker is half-open, its probe is the least recently tried task: otherwise a
 * task that always fails could be the only probe.
 */
async function chooseTask(
  trx: Trx,
  options: ClaimOptions,
  isHalfOpen: boolean,
): Promise<{ readonly next: Task; readonly probes: readonly string[] } | null> {
  const { dependency, turn, at } = options
  const isUsed = turn.of === 'due' || turn.usesNeeds === true
  const needed = isUsed ? await openBreakers(trx, at) : { open: [], halfOpen: [] }
  if (isHalfOpen) {
    const next = await leastRecentlyTried(trx, options, (query) => notNeeding(query, needed.open))
    if (next === null) return null
    const alsoProbed = needed.halfOpen.filter((breaker) => breaker === next.needs)
    return { next, probes: [dependency, ...alsoProbed] }
  }
  for (const needs of needed.halfOpen) {
    const next = await leastRecentlyTried(trx, options, (query) => query.where('needs', '=', needs))
    if (next !== null) return { next, probes: [needs] }
  }
  const narrowed = (query: Query) => notNeeding(query, [...needed.open, ...needed.halfOpen])
  const next =
    turn.of === 'pending'
      ? await leastRecentlyTried(trx, options, narrowed)
      : await firstInOrder(trx, options, narrowed)
  return next === null ? null : { next, probes: [] }
}

async function countInProgress(trx: Trx, { kind, dependency }: ClaimOptions): Promise<number> {
  const { busy } = await trx
    .selectFrom('tasks')
    .select((of) => of.fn.countAll<number>().as('busy'))
    .where('kind', '=', kind)
    .where('dependency', '=', dependency)
    .where((where) =>
      where.or([
        where.and([where('state', '=', 'pending'), where('takesTurn', '=', true)]),
        where.and([where('state', '=', 'running'), where('leaseUntil', '>', DATABASE_NOW)]),
      ]),
    )
    .executeTakeFirstOrThrow()
  return Number(busy)
}

/** Due and without a valid lease. A running task without one was abandoned by a function that died. */
const isTakeable = (state: TaskState, at: Date): Expression<SqlBool> =>
  state === 'running'
    ? isFree()
    : sql<SqlBool>`${isAttemptDue(at, LONGEST_WAIT_MS[state === 'pending' ? 'check' : 'retry'])} AND ${isFree()}`

const statesOf = ({ turn }: ClaimOptions): readonly TaskState[] =>
  turn.of === 'pending' ? ['pending'] : ['waiting', 'failing', 'running']

const takeableRows = (executor: Executor, { kind, dependency, turn, at }: ClaimOptions, state: TaskState) =>
  executor
    .selectFrom('tasks')
    .where('kind', '=', kind)
    .where('dependency', '=', dependency)
    .where('state', '=', state)
    .where(isTakeable(state, at))
    .$if(turn.of === 'due' && turn.onlyUntried === true, (query) => query.where('startedAt', 'is', null))

const takeable = (trx: Trx, options: ClaimOptions, state: TaskState) =>
  takeableRows(trx, options, state).selectAll().limit(1).forUpdate()

/** Without a lock: most claims find nothing, and need none of the locks then. */
async function isAnyTakeable(database: Database, options: ClaimOptions): Promise<boolean> {
  const { found } = await database
    .selectNoFrom(({ or, exists }) =>
      or(statesOf(options).map((state) => exists(takeableRows(database, options, state).select('id')))).as(
        'found',
      ),
    )
    .executeTakeFirstOrThrow()
  return Boolean(found)
}

type Query = ReturnType<typeof takeable>

/** Skips tasks that need one of these breakers, so that they do not block the others. */
const notNeeding = (query: Query, breakers: readonly string[]): Query =>
  breakers.length === 0
    ? query
    : query.where((where) => where.or([where('needs', 'is', null), where('needs', 'not in', breakers)]))

/**
 * Queries each state and priority separately, in the order of the index: claiming one task neither sorts nor
 * locks the hundred thousand that may be waiting.
 */
async function firstInOrder(
  trx: Trx,
  options: ClaimOptions,
  narrowed: (query: Query) => Query,
): Promise<Task | null> {
  for (const priority of ['live', 'backlog'] as const) {
    const found: Task[] = []
    for (const state of statesOf(options))
      found.push(
        ...(await narrowed(takeable(trx, options, state))
          .where('priority', '=', priority)
          .orderBy('requestedAt')
          .orderBy('id')
          .execute()),
      )
    const [first] = found.toSorted((a, b) => a.requestedAt.getTime() - b.requestedAt.getTime() || a.id - b.id)
    if (first !== undefined) return first
  }
  return null
}

async function leastRecentlyTried(
  trx: Trx,
  options: ClaimOptions,
  narrowed: (query: Query) => Query,
): Promise<Task | null> {
  const found: Task[] = []
  for (const state of statesOf(options))
    found.push(
      ...(await narrowed(takeable(trx, options, state))
        .orderBy('nextAttemptAt')
        .orderBy('id')
        .execute()),
    )
  const [first] = found.toSorted(
    (a, b) => a.nextAttemptAt.getTime() - b.nextAttemptAt.getTime() || a.id - b.id,
  )
  return first ?? null
}

/** The change to a task's row when an attempt has ended. Columns left out stay unchanged. */
export interface TaskChange {
  readonly state: Exclude<TaskState, 'running'>
  readonly attempts?: number
  readonly nextAttemptAt?: Date
  readonly lastError?: string | null
  readonly reference?: Reference | null
  readonly generation?: number
  readonly takesTurn?: boolean
  /** Null: the task counts as untried. */
  readonly startedAt?: null
}

export const hasEnded = ({ state }: TaskChange): boolean => state === 'done' || state === 'given-up'

/** Ends a claim, in the transaction that writes the facts. @throws ConflictError when the lease was lost. */
export async function endClaim(trx: Trx, { lease }: Claim, change: TaskChange, at: Date): Promise<void> {
  const { lastError, reference, ...rest } = change
  const result = await trx
    .updateTable('tasks')
    .set({
      ...rest,
      ...(lastError === undefined ? {} : { lastError: lastError === null ? null : cutText(lastError) }),
      ...(reference === undefined
        ? {}
        : { reference: reference === null ? null : JSON.stringify(reference) }),
      ...NO_LEASE,
      finishedAt: hasEnded(change) ? at : null,
    })
    .where('id', '=', lease.id)
    .where('leaseOwner', '=', lease.owner)
    .executeTakeFirst()
  assertHeld(result)
}

/** Deletes tasks that were done before a time; the history of their runs keeps what happened. */
export async function purgeTasks(database: Database, doneBefore: Date): Promise<number> {
  const { numDeletedRows } = await database
    .deleteFrom('tasks')
    .where('state', '=', 'done')
    .where('finishedAt', '<', doneBefore)
    .limit(5000)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

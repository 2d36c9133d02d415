/**
 * Tasks: rows of work with a side effect outside the database. A task is requested together with the facts it
 * is about, taken under a lease when its turn has come, and ended with what came of it; shared/work/advance.ts
 * does the rest.
 */
import { type Expression, type SqlBool, sql, type Transaction } from 'kysely'
import { type Database, inTransaction } from '../database/connect.ts'
import type { Schema } from '../database/schema.ts'
import type { Reference, Task, TaskState } from '../database/work-schema.ts'
import { nextLookAt } from './back-off.ts'
import { beginProbe, lockBreaker, openBreakers } from './breaker.ts'
import { assertHeld, DATABASE_NOW, isFree, type Lease, leaseFor, leaseOwner, NO_LEASE } from './lease.ts'

type Trx = Transaction<Schema>

export interface NewTask {
  readonly kind: string
  readonly subjectId: number
  readonly runId: number | null
  /** The breaker that its claims go by, such as that of a tape endpoint. */
  readonly dependency: string
  /** Another one that must be closed as well; null: none. */
  readonly needs: string | null
  readonly priority: 'live' | 'backlog'
  readonly requestedBy: string
  readonly deadlineAt?: Date
}

/** One task for each kind and subject. */
const nameOf = ({ kind, subjectId }: Pick<NewTask, 'kind' | 'subjectId'>) => `${kind}:${subjectId}`

/** Requests work. Requested again it stays as it is, but a live request makes it live. */
export async function addTask(trx: Trx, task: NewTask, at: Date): Promise<void> {
  const name = nameOf(task)
  await trx
    .insertInto('tasks')
    .values({ ...task, name, state: 'waiting', requestedAt: at, nextAttemptAt: at })
    .onDuplicateKeyUpdate(task.priority === 'backlog' ? { name } : { priority: 'live' })
    .execute()
}

/**
 * Requests work anew that has ended, or waits for its next attempt. The next job asked of the outside is
 * another than the one before, unless the kind goes on with that (`keepsReference`). False when somebody works
 * on it.
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

/** The outside has its result, whether it was requested or not, and it is checked until it is final. */
export async function followTask(trx: Trx, task: NewTask, at: Date): Promise<void> {
  if (await insertTask(trx, task, 'pending', at)) return
  const followed = { state: 'pending', takesTurn: false, startedAt: at, nextAttemptAt: at } as const
  await trx
    .updateTable('tasks')
    .set({ ...followed, finishedAt: null, lastError: null })
    .where('name', '=', nameOf(task))
    .where('state', 'in', ['done', 'given-up'])
    .execute()
}

/** False when there is one: done tasks are purged after a time. */
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
   * `due`: work to be done; so much at most is in progress at once, here and outside. `pending`: work that the
   * outside does, to be checked.
   */
  readonly turn:
    | {
        readonly of: 'due'
        readonly mostAtOnce: number
        /** Only what was not begun since it was requested. */
        readonly onlyUntried?: true
      }
    | { readonly of: 'pending' }
  readonly leaseSeconds: number
  readonly at: Date
}

export interface Claim {
  readonly task: Task
  readonly lease: Lease
  /** The function that had it before has died, or stood still for longer than its lease. */
  readonly wasLeft: boolean
  /** The breakers that are half-open, and that it is the probe of. */
  readonly probes: readonly string[]
}

/**
 * Takes the next task whose turn it is: live before backlog, the oldest request first. Null when there is
 * none, when as much as allowed is in progress, or while a breaker that it depends on is open.
 */
export async function claimTask(
  context: { readonly database: Database; readonly owner: string },
  options: ClaimOptions,
): Promise<Claim | null> {
  const { dependency, turn, at } = options
  return await inTransaction(context.database, async (trx) => {
    const gate = await lockBreaker(trx, dependency, at)
    if (gate === 'open') return null
    if (turn.of === 'due' && (await countInProgress(trx, options)) >= turn.mostAtOnce) return null
    const chosen = await choose(trx, options, gate === 'half-open')
    if (chosen === null) return null
    const { next, probes } = chosen
    for (const probed of probes) await beginProbe(trx, probed, at)
    const owner = leaseOwner(context)
    const taken =
      turn.of === 'pending'
        ? // Should its function die, others come first.
          { nextAttemptAt: nextLookAt(at, next.startedAt) }
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
      wasLeft: next.state === 'running',
      probes,
    }
  })
}

/**
 * The next in turn. Where a breaker is half-open, what was tried longest ago is its probe: a task that always
 * fails must not be the only one to try.
 */
async function choose(
  trx: Trx,
  options: ClaimOptions,
  isHalfOpen: boolean,
): Promise<{ readonly next: Task; readonly probes: readonly string[] } | null> {
  const { dependency, turn, at } = options
  const needed = turn.of === 'due' ? await openBreakers(trx, at) : { open: [], halfOpen: [] }
  if (isHalfOpen) {
    const next = await leastTried(trx, options, (query) => without(query, needed.open))
    if (next === null) return null
    const alsoProbed = needed.halfOpen.filter((breaker) => breaker === next.needs)
    return { next, probes: [dependency, ...alsoProbed] }
  }
  for (const needs of needed.halfOpen) {
    const next = await leastTried(trx, options, (query) => query.where('needs', '=', needs))
    if (next !== null) return { next, probes: [needs] }
  }
  const next = await nextInTurn(trx, options, (query) => without(query, [...needed.open, ...needed.halfOpen]))
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

/** What may be taken in a state: its time has come and nobody holds it; one that runs was left by a dead function. */
const isTakeable = (state: TaskState, at: Date): Expression<SqlBool> =>
  state === 'running' ? isFree() : sql<SqlBool>`next_attempt_at <= ${at} AND ${isFree()}`

const statesOf = ({ turn }: ClaimOptions): readonly TaskState[] =>
  turn.of === 'pending' ? ['pending'] : ['waiting', 'failing', 'running']

const takeable = (trx: Trx, { kind, dependency, turn, at }: ClaimOptions, state: TaskState) =>
  trx
    .selectFrom('tasks')
    .selectAll()
    .where('kind', '=', kind)
    .where('dependency', '=', dependency)
    .where('state', '=', state)
    .where(isTakeable(state, at))
    .$if(turn.of === 'due' && turn.onlyUntried === true, (query) => query.where('startedAt', 'is', null))
    .limit(1)
    .forUpdate()

type Query = ReturnType<typeof takeable>

/** Passes over what needs these, so that it blocks nothing else. */
const without = (query: Query, breakers: readonly string[]): Query =>
  breakers.length === 0
    ? query
    : query.where((where) => where.or([where('needs', 'is', null), where('needs', 'not in', breakers)]))

/**
 * Each state and priority by itself, in the order of the index: a hundred thousand that wait are neither sorted
 * nor locked for the one that is taken.
 */
async function nextInTurn(
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

async function leastTried(
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

/** What becomes of a task whose attempt has ended. Columns left out stay as they are. */
export interface TaskChange {
  readonly state: Exclude<TaskState, 'running'>
  readonly attempts?: number
  readonly nextAttemptAt?: Date
  readonly lastError?: string | null
  readonly reference?: Reference | null
  readonly generation?: number
  readonly takesTurn?: boolean
}

export const hasEnded = ({ state }: TaskChange): boolean => state === 'done' || state === 'given-up'

/** Endpoints answer with whole pages at times: the row must be freed all the same. */
const MOST_CHARACTERS = 4000

/** Ends a claim, in the transaction that writes the facts. @throws ConflictError when the lease was lost. */
export async function endClaim(trx: Trx, { lease }: Claim, change: TaskChange, at: Date): Promise<void> {
  const { lastError, reference, ...rest } = change
  const result = await trx
    .updateTable('tasks')
    .set({
      ...rest,
      ...(lastError === undefined ? {} : { lastError: lastError?.slice(0, MOST_CHARACTERS) ?? null }),
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

/** Deletes tasks that were done so long ago; the history of their runs keeps what happened. */
export async function purgeTasks(database: Database, doneBefore: Date): Promise<number> {
  const { numDeletedRows } = await database
    .deleteFrom('tasks')
    .where('state', '=', 'done')
    .where('finishedAt', '<', doneBefore)
    .limit(5000)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

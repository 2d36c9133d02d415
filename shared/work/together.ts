/**
 * Prepares many tasks that were never tried with one request to their external service, such as one stage
 * request for all files of many runs. The tasks are held under one lease meanwhile, and get the reference of
 * the request in one statement. They stay due: `advance` then checks each, as if it had made a request of its
 * own. If this function dies, they are untried again after the lease.
 *
 * @example
 * await prepareTogether(context, { kind: 'recall', dependency, part: 'stage', most: 500 },
 *   async (tasks, held) => ({ reference: await requestAll(tasks, held), tasks, leftOut: [] }), signal)
 */
import { type SqlBool, sql } from 'kysely'
import { type Database, inTransaction } from '../database/connect.ts'
import type { Task } from '../database/work-schema.ts'
import { classify, TransientError } from '../errors.ts'
import { withoutSecrets } from '../log.ts'
import { cutText } from '../text.ts'
import { isDatabaseError } from './advance.ts'
import { LONGEST_WAIT_MS, nextCheckAt } from './back-off.ts'
import {
  beginProbe,
  endProbe,
  isUnreachable,
  lockBreaker,
  noteFailure,
  noteSuccess,
  openBreakers,
} from './breaker.ts'
import { isAttemptDue } from './due.ts'
import { assertHeld, isFree, leaseFor, leaseOwner, NO_LEASE, whileRenewed } from './lease.ts'
import { sendRequests } from './send-requests.ts'
import type { TaskContext } from './task-kind.ts'

export interface Together {
  /** Of the tasks. */
  readonly kind: string
  readonly dependency: string
  /** The part of the reference that the request fills; tasks that have it are left out. */
  readonly part: string
  /** Most tasks in one request. */
  readonly most: number
  /** One of the tasks has just probed the half-open breaker with success. */
  readonly hasProbed?: boolean
}

/**
 * What one request has prepared. `leftOut` are advanced by themselves; the others wait for the next request.
 */
export interface Prepared {
  readonly reference: string
  readonly tasks: readonly Task[]
  readonly leftOut: readonly Task[]
}

/** A request that failed, or was interrupted, this often is not repeated: its tasks are advanced one by one. */
const MOST_FAILURES = 3
const ENDING_MS = 10_000

/**
 * Makes one request for the tasks that are due, if there are at least two.
 * @param request returns null when it made none: all tasks are then advanced by themselves.
 * @returns the number of tasks that got the reference; 0 also when the request failed, which is recorded in the
 * tasks with the time of the next attempt. `half-open`: one task must probe the breaker first. A request of many
 * is no probe: one of its tasks may make it fail each time.
 */
export async function prepareTogether(
  context: TaskContext,
  options: Together,
  request: (tasks: readonly Task[], held: AbortSignal) => Promise<Prepared | null>,
  signal: AbortSignal,
): Promise<number | 'half-open'> {
  const { database, config } = context
  const owner = leaseOwner(context)
  const { leaseSeconds } = config.work
  const tasks = await holdTasks(context, options, owner)
  if (tasks === 'half-open') return tasks
  if (tasks.length === 0) return 0
  try {
    const renewal = async () => {
      const held = await changeHeld(database, tasks, owner, leaseFor(owner, leaseSeconds))
      assertHeld({ numUpdatedRows: held === tasks.length ? 1n : 0n })
    }
    const prepared = await whileRenewed(renewal, leaseSeconds, signal, (held) => request(tasks, held))
    if (prepared === null) await endProbe(database, options.dependency, context.now())
    else await noteSuccess(database, options.dependency, 'check', context.now())
    return await noteReference(context, options, tasks, owner, prepared)
  } catch (thrown) {
    await noteFailedRequest(context, options, tasks, owner, thrown, signal)
    return 0
  }
}

/** Takes the lease on tasks that are due and untried; none while a breaker is open. */
async function holdTasks(
  context: TaskContext,
  { kind, dependency, part, most, hasProbed = false }: Together,
  owner: string,
): Promise<readonly Task[] | 'half-open'> {
  const at = context.now()
  return await inTransaction(context.database, async (trx) => {
    const gate = await lockBreaker(trx, dependency, at)
    if (gate === 'open') return []
    if (gate === 'half-open' && !hasProbed) return gate
    const { open, halfOpen } = await openBreakers(trx, at)
    const avoided = [...open, ...halfOpen]
    const tasks = await trx
      .selectFrom('tasks')
      .selectAll()
      .where('kind', '=', kind)
      .where('dependency', '=', dependency)
      .where('state', '=', 'waiting')
      .where('startedAt', 'is', null)
      .where('attempts', '<', MOST_FAILURES)
      .where(isAttemptDue(at, LONGEST_WAIT_MS.retry))
      .where((where) => where.or([where('deadlineAt', 'is', null), where('deadlineAt', '>', at)]))
      .where(isFree())
      .where(sql<SqlBool>`JSON_VALUE(reference, ${`$.${part}`}) IS NULL`)
      .$if(avoided.length > 0, (query) =>
        query.where((where) => where.or([where('needs', 'is', null), where('needs', 'not in', avoided)])),
      )
      .orderBy('requestedAt')
      .orderBy('id')
      .limit(most)
      .forUpdate()
      .execute()
    if (tasks.length < 2) return []
    if (gate === 'half-open') await beginProbe(trx, dependency, at)
    await trx
      .updateTable('tasks')
      .set(leaseFor(owner, context.config.work.leaseSeconds))
      .where('id', 'in', idsOf(tasks))
      .execute()
    return tasks
  })
}

const idsOf = (tasks: readonly Task[]) => tasks.map(({ id }) => id)

/** Changes those whose lease was not lost. Returns their number. */
async function changeHeld(
  database: Database,
  tasks: readonly Task[],
  owner: string,
  change: object,
): Promise<number> {
  if (tasks.length === 0) return 0
  const { numUpdatedRows } = await database
    .updateTable('tasks')
    .set(change)
    .where('id', 'in', idsOf(tasks))
    .where('leaseOwner', '=', owner)
    .executeTakeFirst()
  return Number(numUpdatedRows)
}

async function noteReference(
  { database, now }: TaskContext,
  { part }: Together,
  tasks: readonly Task[],
  owner: string,
  prepared: Prepared | null,
): Promise<number> {
  const { tasks: inRequest, leftOut } = prepared ?? { tasks: [], leftOut: tasks }
  const reference = sql<string>`JSON_SET(COALESCE(reference, '{}'), ${`$.${part}`}, ${prepared?.reference ?? null})`
  const noted = await changeHeld(database, inRequest, owner, { reference, lastError: null, ...NO_LEASE })
  await changeHeld(database, leftOut, owner, { startedAt: now(), ...NO_LEASE })
  const known = new Set(idsOf([...inRequest, ...leftOut]))
  const later = tasks.filter(({ id }) => !known.has(id))
  await changeHeld(database, later, owner, { nextAttemptAt: nextCheckAt(now(), null), ...NO_LEASE })
  return noted
}

/**
 * A failure counts in the tasks, also when the function is stopped. Not while the service is down: its breaker opens,
 * and the tasks stay together; but a request that fails right after one task worked has itself failed.
 */
async function noteFailedRequest(
  context: TaskContext,
  { dependency, hasProbed = false }: Together,
  tasks: readonly Task[],
  owner: string,
  thrown: unknown,
  signal: AbortSignal,
): Promise<void> {
  const { database, log } = context
  const error = classify(thrown)
  const reason = withoutSecrets(error.message)
  const at = context.now()
  log.warn({ error, dependency, tasks: tasks.length }, 'not-prepared-together')
  if (signal.aborted) {
    await endProbe(database, dependency, at)
    await changeHeld(database, tasks, owner, { attempts: sql<number>`attempts + 1`, ...NO_LEASE })
    return
  }
  const isDown = error instanceof TransientError && isUnreachable(error) && !hasProbed
  if (error instanceof TransientError && !isDatabaseError(error)) {
    const task = tasks[0]?.name ?? dependency
    const failure = { task, hasFailedBefore: false, step: 'check', error, reason, at } as const
    const noted = await noteFailure(database, dependency, failure)
    await sendRequests(context, noted.requests, AbortSignal.timeout(ENDING_MS))
  }
  await changeHeld(database, tasks, owner, {
    ...(isDown ? {} : { attempts: sql<number>`attempts + 1` }),
    nextAttemptAt: nextCheckAt(at, null),
    lastError: cutText(reason),
    ...NO_LEASE,
  })
}

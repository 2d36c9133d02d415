/**
 * Circuit breakers: a dependency of several tasks (a tape endpoint, a bucket, a batch system) is not used
 * while it fails. One row per dependency, shared by all processes. After a few failures in a row the breaker
 * opens: tasks that need it wait and lose no attempt. Then one task at a time may probe it (half-open), at
 * least once a minute; when the probe succeeds, the breaker closes. One task that fails repeatedly does not
 * open the breaker, nor do several that had all failed before, unless the dependency cannot be reached at
 * all, or needs an operator.
 *
 * @example
 * const gate = await lockBreaker(trx, tapeBreaker('davs://tape.example'), at)
 * if (gate === 'open') return null
 */
import type { Transaction } from 'kysely'
import { type Database, inTransaction } from '../database/connect.ts'
import type { Schema } from '../database/schema.ts'
import type { Task } from '../database/work-schema.ts'
import { classify, TransientError } from '../errors.ts'
import { cutText } from '../text.ts'
import { isDue } from './due.ts'
import { outageAlert, outageEnd } from './outages.ts'
import { addRequests, type Request } from './outbox.ts'
import { resolveRaised } from './raised-alerts.ts'

/** Fewer failures in a row may be due to single tasks; this many are due to the dependency. */
const FAILURES_TO_OPEN = 3
const FIRST_PROBE_MS = 15_000
/** Below the minute between two runs of the schedule, so that each may probe. */
const LONGEST_PROBE_MS = 40_000
/** Long enough for a server to restart without an alert. */
const ALERTED_AFTER_MS = 60_000

export const tapeBreaker = (endpoint: string): string => `tape:${endpoint}`
/** For staging and reading, which may fail while copying works. */
export const tapeReadBreaker = (endpoint: string): string => `tape-read:${endpoint}`
export const storeBreaker = (bucket: string): string => `store:${bucket}`

export type Gate = 'closed' | 'open' | 'half-open'

/**
 * Whether work that needs the dependency may start. Locks the breaker's row until the transaction ends, so
 * that claims for one dependency run one after the other. `half-open`: one task may probe it, and
 * `beginProbe` keeps the others from doing so.
 */
export async function lockBreaker(trx: Transaction<Schema>, dependency: string, at: Date): Promise<Gate> {
  const locked = trx.selectFrom('breakers').selectAll().where('dependency', '=', dependency).forUpdate()
  const found = await locked.executeTakeFirst()
  if (found === undefined) {
    // The row is locked first: an INSERT that finds the row takes a shared lock, and two transactions that
    // then upgrade theirs would deadlock.
    await trx.insertInto('breakers').ignore().values({ dependency }).execute()
    await locked.executeTakeFirstOrThrow()
    return 'closed'
  }
  if (found.openSince === null) return 'closed'
  return mayProbe(found, at) ? 'half-open' : 'open'
}

const mayProbe = ({ probeAt }: { readonly probeAt: Date | null }, at: Date): boolean =>
  probeAt === null || isDue(probeAt, at, LONGEST_PROBE_MS)

/** From now on the breaker is open for all others, until this probe must have ended. */
export async function beginProbe(trx: Transaction<Schema>, dependency: string, at: Date): Promise<void> {
  await trx
    .updateTable('breakers')
    .set({ probeAt: new Date(at.getTime() + LONGEST_PROBE_MS) })
    .where('dependency', '=', dependency)
    .execute()
}

export interface OpenBreakers {
  /** Work that needs these waits. */
  readonly open: readonly string[]
  /** One task may probe each of these. */
  readonly halfOpen: readonly string[]
}

export async function openBreakers(
  executor: Database | Transaction<Schema>,
  at: Date,
): Promise<OpenBreakers> {
  const rows = await executor
    .selectFrom('breakers')
    .select(['dependency', 'probeAt'])
    .where('openSince', 'is not', null)
    .execute()
  const namesOf = (isOpen: boolean) =>
    rows.filter((row) => mayProbe(row, at) !== isOpen).map(({ dependency }) => dependency)
  return { open: namesOf(true), halfOpen: namesOf(false) }
}

/**
 * Records that the dependency worked. A successful `act` closes the breaker. A successful `check` closes it
 * only if the failures were checks, since a service may answer queries and refuse writes; otherwise it allows
 * the next probe at once.
 */
export async function noteSuccess(
  database: Database,
  dependency: string,
  step: 'check' | 'act',
  at: Date,
): Promise<void> {
  const breaker = await database
    .selectFrom('breakers')
    .select(['failures', 'openSince'])
    .where('dependency', '=', dependency)
    .executeTakeFirst()
  // Nearly always: every success of every process would otherwise lock the same row.
  if (breaker === undefined || breaker.failures === 0) return
  const { openSince } = breaker
  const close = async (executor: Database | Transaction<Schema>) => {
    const { numUpdatedRows } = await executor
      .updateTable('breakers')
      .set({ failures: 0, failedTask: null, failedStep: null, openSince: null, probeAt: null })
      .where('dependency', '=', dependency)
      .where('failures', '>', 0)
      .$if(step === 'check', (query) => query.where('failedStep', '=', 'check'))
      .executeTakeFirst()
    return numUpdatedRows > 0n
  }
  if (openSince === null) await close(database)
  else
    await inTransaction(database, async (trx) => {
      if (!(await close(trx))) return
      await extendDeadlines(trx, dependency, openSince, at)
      await resolveRaised(trx, [outageEnd(dependency, openSince)], at)
    })
  if (step === 'check') await endProbe(database, dependency, at)
}

/** Since when the first of these breakers has been open; null while all are closed. */
export async function openSinceOf(
  database: Database,
  dependencies: readonly (string | null)[],
): Promise<Date | null> {
  const row = await database
    .selectFrom('breakers')
    .select('openSince')
    .where('dependency', 'in', dependencies)
    .where('openSince', 'is not', null)
    .orderBy('openSince')
    .executeTakeFirst()
  return row?.openSince ?? null
}

/** The time during which the dependency failed does not count: otherwise a long outage would end all its tasks. */
async function extendDeadlines(
  trx: Transaction<Schema>,
  dependency: string,
  openSince: Date,
  at: Date,
): Promise<void> {
  const waiting = await trx
    .selectFrom('tasks')
    .select(['id', 'requestedAt', 'deadlineAt'])
    .where((where) => where.or([where('dependency', '=', dependency), where('needs', '=', dependency)]))
    .where('state', 'not in', ['done', 'given-up'])
    .where('deadlineAt', '>', openSince)
    .execute()
  for (const { id, requestedAt, deadlineAt } of waiting) {
    if (deadlineAt === null) continue
    const lostMs = Math.max(0, at.getTime() - Math.max(openSince.getTime(), requestedAt.getTime()))
    const extended = new Date(deadlineAt.getTime() + lostMs)
    await trx.updateTable('tasks').set({ deadlineAt: extended }).where('id', '=', id).execute()
  }
}

/** The last failure of a dependency, also of one that works again; null when it never failed. */
export async function lastErrorOf(database: Database, dependency: string): Promise<string | null> {
  const row = await database
    .selectFrom('breakers')
    .select('lastError')
    .where('dependency', '=', dependency)
    .executeTakeFirst()
  return row?.lastError ?? null
}

/** Ends a probe without a result: the next one may start at once. */
export async function endProbe(database: Database, dependency: string, at: Date): Promise<void> {
  await database
    .updateTable('breakers')
    .set({ probeAt: at })
    .where('dependency', '=', dependency)
    .where('openSince', 'is not', null)
    .execute()
}

/** Attributes a transient error to a dependency, unless it is attributed already. */
export function blame(dependency: string, thrown: unknown): unknown {
  const error = classify(thrown)
  if (!(error instanceof TransientError) || error.details.dependency !== undefined) return thrown
  return new TransientError(error.message, { ...error.details, dependency }, { cause: thrown })
}

export interface DependencyFailure {
  /** Name of the task or arrival. */
  readonly task: string
  /** The task, not necessarily the dependency, failed before. */
  readonly hasFailedBefore: boolean
  readonly step: 'check' | 'act'
  readonly error: TransientError
  /** The error's message, without secrets. */
  readonly reason: string
  /** For people who read the alert. */
  readonly hint?: string
  readonly at: Date
}

/**
 * Counts a failure that may be due to the dependency. An outage of more than a minute is alerted, until
 * `noteSuccess` closes the breaker.
 * @returns whether the breaker is open now, and the alert that is due, already in the outbox.
 */
export async function noteFailure(
  database: Database,
  dependency: string,
  { task, hasFailedBefore, step, error, reason, hint = '', at }: DependencyFailure,
): Promise<{ readonly isOpen: boolean; readonly requests: readonly Request[] }> {
  return await inTransaction(database, async (trx) => {
    await lockBreaker(trx, dependency, at)
    const before = await trx
      .selectFrom('breakers')
      .select(['failures', 'failedTask', 'openSince'])
      .where('dependency', '=', dependency)
      .executeTakeFirstOrThrow()
    // Broken files fail between the successes of others: only a failure of other work begins a series.
    const isOfTask = before.failures === 0 ? hasFailedBefore : before.failedTask === task
    const isUncounted = before.openSince === null && isOfTask && !isUnreachable(error)
    const failures = isUncounted ? before.failures : before.failures + 1
    const opens = failures >= FAILURES_TO_OPEN
    // The database's clock may have been ahead when the breaker opened.
    const isKnown = before.openSince !== null && before.openSince <= at
    const openSince = opens ? (isKnown ? before.openSince : at) : null
    const probeMs = Math.min(
      FIRST_PROBE_MS * 2 ** Math.min(failures - FAILURES_TO_OPEN, 10),
      LONGEST_PROBE_MS,
    )
    await trx
      .updateTable('breakers')
      .set({
        failures,
        failedTask: task,
        failedStep: step,
        openSince,
        probeAt: opens ? new Date(at.getTime() + probeMs) : null,
        lastError: cutText(reason),
      })
      .where('dependency', '=', dependency)
      .execute()
    const isDue = openSince !== null && at.getTime() - openSince.getTime() >= ALERTED_AFTER_MS
    const requests = isDue ? [outageAlert(dependency, openSince, reason + hint)] : []
    // The name contains the start of the outage: the outbox ignores a second alert of the same outage.
    await addRequests(trx, requests, at)
    return { isOpen: opens, requests }
  })
}

const UNREACHABLE = new Set<unknown>([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
])
const UNAVAILABLE_STATUSES = new Set<unknown>([429, 502, 503, 504])

/** The failure does not depend on the task. Wrong credentials do not, but access may be denied to one file. */
export const isUnreachable = ({ details }: TransientError): boolean =>
  UNREACHABLE.has(details.error) ||
  UNAVAILABLE_STATUSES.has(details.httpStatus) ||
  (details.operator === true && details.error !== 'AccessDenied' && details.httpStatus !== 403)

/**
 * Whether all failures of its dependency may be due to this task: the dependency answers, if only that it is busy,
 * and no other open task of it has an error.
 */
export async function isOnlyFailing(
  database: Database,
  { kind, name, dependency }: Pick<Task, 'kind' | 'name' | 'dependency'>,
  error: TransientError,
): Promise<boolean> {
  if (!UNAVAILABLE_STATUSES.has(error.details.httpStatus)) return false
  const other = await database
    .selectFrom('tasks')
    .select('id')
    .where('kind', '=', kind)
    .where('dependency', '=', dependency)
    .where('state', 'not in', ['done', 'given-up'])
    .where('name', '!=', name)
    .where('lastError', 'is not', null)
    .limit(1)
    .executeTakeFirst()
  return other === undefined
}

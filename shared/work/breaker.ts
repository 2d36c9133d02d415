/**
 * Circuit breakers: what several pieces of work need (a tape endpoint, a bucket, a batch system) is left alone
 * while it fails. One row per dependency, shared by all processes. After a few failures in a row the breaker
 * opens: work that needs it waits and loses no attempt. Then one piece of work at a time may try (half-open),
 * at least every minute; when it succeeds the breaker closes. A piece of work that fails again and again by
 * itself opens no breaker, unless the dependency cannot be reached at all.
 *
 * @example
 * const gate = await lockBreaker(trx, tapeBreaker('davs://tape.example'), at)
 * if (gate === 'open') return null
 */
import type { Transaction } from 'kysely'
import { type Database, inTransaction } from '../database/connect.ts'
import type { Schema } from '../database/schema.ts'
import { classify, TransientError } from '../errors.ts'
import { addRequests, type Request } from './outbox.ts'

/** Fewer failures in a row may be those of single pieces of work; so many are the dependency's. */
const FAILURES_TO_OPEN = 3
const FIRST_PROBE_MS = 15_000
/** Below the minute between two beats of the schedule, so that each beat may try. */
const LONGEST_PROBE_MS = 40_000
/** A restart of a server alerts nobody. */
const ALERTED_AFTER_MS = 60_000

const MOST_CHARACTERS = 4000

export const tapeBreaker = (endpoint: string): string => `tape:${endpoint}`
/** Staging and reading, which may fail where copying works. */
export const tapeReadBreaker = (endpoint: string): string => `tape-read:${endpoint}`
export const storeBreaker = (bucket: string): string => `store:${bucket}`

export type Gate = 'closed' | 'open' | 'half-open'

/**
 * Whether work that needs the dependency may begin; locks the breaker's row until the transaction ends, so
 * that claims of work for one dependency take turns. `half-open`: one piece of work may try, and `beginProbe`
 * keeps the others from it.
 */
export async function lockBreaker(trx: Transaction<Schema>, dependency: string, at: Date): Promise<Gate> {
  const locked = trx.selectFrom('breakers').selectAll().where('dependency', '=', dependency).forUpdate()
  const found = await locked.executeTakeFirst()
  if (found === undefined) {
    // Locked before it is inserted: an insertion that finds the row takes a shared lock, from which two at
    // once cannot go on.
    await trx.insertInto('breakers').ignore().values({ dependency }).execute()
    await locked.executeTakeFirstOrThrow()
    return 'closed'
  }
  if (found.openSince === null) return 'closed'
  return found.probeAt !== null && found.probeAt > at ? 'open' : 'half-open'
}

/** Whoever asks next finds the breaker open until this probe must have ended. */
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
  /** Of these one piece of work may try. */
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
    rows
      .filter(({ probeAt }) => (probeAt !== null && probeAt > at) === isOpen)
      .map(({ dependency }) => dependency)
  return { open: namesOf(true), halfOpen: namesOf(false) }
}

/**
 * A dependency that takes side effects works. One that answers questions may take none: an answer closes the
 * breaker only where questions had failed; else it lets the next one try at once.
 */
export async function noteSuccess(
  database: Database,
  dependency: string,
  step: 'check' | 'act',
  at: Date,
): Promise<void> {
  await database
    .updateTable('breakers')
    .set({ failures: 0, failedTask: null, failedStep: null, openSince: null, probeAt: null })
    .where('dependency', '=', dependency)
    .where('failures', '>', 0)
    .$if(step === 'check', (query) => query.where('failedStep', '=', 'check'))
    .execute()
  if (step === 'check') await endProbe(database, dependency, at)
}

/** A probe has ended without a verdict: the next one may try at once. */
export async function endProbe(database: Database, dependency: string, at: Date): Promise<void> {
  await database
    .updateTable('breakers')
    .set({ probeAt: at })
    .where('dependency', '=', dependency)
    .where('openSince', 'is not', null)
    .execute()
}

/** The same error, which is this dependency's and not that of the work that met it. */
export function blame(dependency: string, thrown: unknown): unknown {
  const error = classify(thrown)
  if (!(error instanceof TransientError) || error.details.dependency !== undefined) return thrown
  return new TransientError(error.message, { ...error.details, dependency }, { cause: thrown })
}

export interface DependencyFailure {
  /** Names the piece of work. */
  readonly task: string
  readonly step: 'check' | 'act'
  readonly error: TransientError
  /** The error in words, without secrets. */
  readonly reason: string
  readonly at: Date
}

/**
 * Counts a failure that may be the dependency's.
 * @param alert made once for each time the breaker has been open for a minute.
 * @returns whether the breaker is open now, and the alert that is due, already in the outbox.
 */
export async function noteFailure(
  database: Database,
  dependency: string,
  { task, step, error, reason, at }: DependencyFailure,
  alert: (since: Date) => Request,
): Promise<{ readonly isOpen: boolean; readonly requests: readonly Request[] }> {
  return await inTransaction(database, async (trx) => {
    await lockBreaker(trx, dependency, at)
    const before = await trx
      .selectFrom('breakers')
      .select(['failures', 'failedTask', 'openSince'])
      .where('dependency', '=', dependency)
      .executeTakeFirstOrThrow()
    const isRepeated = before.openSince === null && before.failedTask === task && !isOutOfReach(error)
    const failures = isRepeated ? before.failures : before.failures + 1
    const opens = failures >= FAILURES_TO_OPEN
    const openSince = opens ? (before.openSince ?? at) : null
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
        lastError: reason.slice(0, MOST_CHARACTERS),
      })
      .where('dependency', '=', dependency)
      .execute()
    const isDue = openSince !== null && at.getTime() - openSince.getTime() >= ALERTED_AFTER_MS
    const requests = isDue ? [alert(openSince)] : []
    // Its name holds since when: what was alerted before is not alerted again.
    await addRequests(trx, requests, at)
    return { isOpen: opens, requests }
  })
}

const OUT_OF_REACH = new Set<unknown>([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
])
const UNAVAILABLE_STATUSES = new Set<unknown>([429, 502, 503, 504])

/** Whatever the work was, it would have failed. */
const isOutOfReach = ({ details }: TransientError): boolean =>
  OUT_OF_REACH.has(details.error) || UNAVAILABLE_STATUSES.has(details.httpStatus)

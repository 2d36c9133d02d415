/** Records a failed attempt at an arrival: its reason, the time of the next attempt, and the alert. */
import type { Transaction } from 'kysely'
import {
  type ArrivalLease,
  endAttempt,
  findArrival,
  isFinished,
  recordArrivals,
  recordUnfinished,
  type UnfinishedArrival,
  unfinishedArrival,
} from '../catalogue/arrivals.ts'
import { alreadyNew, takeOverTimes } from '../catalogue/take-over.ts'
import type { Context } from '../context.ts'
import { inTransaction } from '../database/connect.ts'
import type { Arrival, Schema } from '../database/schema.ts'
import { ConflictError, classify, TransientError } from '../errors.ts'
import { type Logger, withoutSecrets } from '../log.ts'
import type { ObjectArrival } from '../notifications/arrival.ts'
import type { ObjectName, RunFileId } from '../run.ts'
import { noteFailure, storeBreaker } from '../work/breaker.ts'
import { addRequests } from '../work/outbox.ts'
import { alert } from '../work/raise-alert.ts'
import type { UnfinishedEnding } from '../work/retry-policy.ts'
import { sendRequests } from '../work/send-requests.ts'
import type { Outcome } from './outcome.ts'

/** Time to send alerts when the function is being stopped. */
const ENDING_MS = 10_000
/** Stopped after more than this time at one object, the function has reached its time limit: a failure. */
const LONGEST_MS = 600_000

interface Attempt {
  readonly arrivalId: number
  readonly run: RunFileId
  readonly object: ObjectName
  /** Including this one. */
  readonly attempts: number
  readonly restarts: number
}

/** How an attempt failed or was stopped. */
interface AttemptFailure {
  readonly thrown: unknown
  readonly step: 'check' | 'act'
  readonly since: Date
  /** Aborted when the host stops. */
  readonly signal: AbortSignal
  /** Aborted also when the lease is lost. */
  readonly held: AbortSignal
  readonly log: Logger
}

/**
 * Records that an attempt under a lease failed, and releases the lease.
 * @returns `check-again` when the object changed meanwhile.
 * @throws the error of the attempt, when the row cannot be written: the lease then expires by itself.
 */
export async function recordFailure(
  context: Context<'database' | 'queues'>,
  lease: ArrivalLease,
  { run, object }: Pick<Attempt, 'run' | 'object'>,
  failure: AttemptFailure,
): Promise<Outcome | 'check-again'> {
  const attempt = { arrivalId: lease.id, run, object, attempts: lease.attempt, restarts: lease.restarts }
  const error = classify(failure.thrown)
  try {
    const unfinished = await classifyFailure(context, attempt, failure)
    await writeUnfinished(context, attempt, unfinished, async (trx) => {
      await endAttempt(trx, lease, unfinished)
      return true
    })
    logUnfinished(failure.log, failure.thrown, unfinished)
    return error instanceof ConflictError ? 'check-again' : outcomeOf(unfinished)
  } catch (second) {
    if (second instanceof ConflictError) {
      failure.log.info({ error }, 'arrival-taken-over')
      return 'in-progress'
    }
    failure.log.warn({ error: second, key: object.key }, 'failure-not-recorded')
    throw error
  }
}

/**
 * Records that the object could not be described: adds its arrival if there is none, and counts the attempt.
 * @throws when the row cannot be written.
 */
export async function recordUndescribed(
  context: Context<'database' | 'queues'>,
  hint: ObjectArrival,
  run: RunFileId,
  failure: Omit<AttemptFailure, 'step' | 'held'>,
): Promise<Outcome> {
  await recordArrivals(context.database, [hint], context.now())
  const found = await findArrival(context.database, hint)
  if (found === null) throw new TransientError(`the ledger lost the arrival of ${hint.key}`)
  // The failures before a finished reading do not count.
  const attempts = isFinished(found) ? 1 : found.attempts + 1
  const attempt = { arrivalId: found.id, run, object: hint, attempts, restarts: found.restarts }
  const unfinished = await classifyFailure(context, attempt, {
    ...failure,
    step: 'check',
    held: failure.signal,
  })
  const isWritten = await writeUnfinished(context, attempt, unfinished, (trx) =>
    recordUnfinished(trx, found, unfinished),
  )
  logUnfinished(failure.log, failure.thrown, unfinished)
  // If another function has the lease, it decides about the row.
  return isWritten ? outcomeOf(unfinished) : 'deferred'
}

/**
 * Records that every function that read the object died without recording an outcome. This counts as a failed
 * attempt, so that the back-off protects other functions from the object.
 */
export async function recordReaderDeaths(
  context: Context<'database' | 'queues'>,
  arrival: Arrival,
  about: Pick<Attempt, 'run' | 'object'>,
): Promise<boolean> {
  const { id: arrivalId, attempts, restarts } = arrival
  const unfinished = unfinishedArrival(attempts, 'failed', `its reader died ${attempts} times`, context.now())
  return await writeUnfinished(context, { ...about, arrivalId, attempts, restarts }, unfinished, (trx) =>
    recordUnfinished(trx, arrival, unfinished),
  )
}

const outcomeOf = ({ state }: UnfinishedArrival) => (state === 'failed' ? 'failed' : 'deferred')

/** The run's page and its logs show this event. */
function logUnfinished(log: Logger, thrown: unknown, { attempts, nextAttemptAt }: UnfinishedArrival): void {
  const error = classify(thrown)
  log[error instanceof ConflictError ? 'info' : 'error'](
    { error, attempt: attempts, nextAttemptAt },
    'arrival-not-processed',
  )
}

/** Decides how the attempt ended. A failure of the store is counted by the store's breaker. */
async function classifyFailure(
  context: Context<'database' | 'queues'>,
  { arrivalId, object, attempts }: Attempt,
  { thrown, step, since, signal, held }: Omit<AttemptFailure, 'log'>,
): Promise<UnfinishedArrival> {
  const error = classify(thrown)
  const reason = withoutSecrets(error.message)
  const at = context.now()
  const unfinished = (ending: UnfinishedEnding, why = reason) => unfinishedArrival(attempts, ending, why, at)
  if (signal.aborted) {
    const isTooLong = at.getTime() - since.getTime() > LONGEST_MS
    return isTooLong
      ? unfinished('failed', 'the time limit of the function ended before the object was read')
      : unfinished('interrupted', 'the function was stopped')
  }
  if (error instanceof ConflictError || held.aborted) return unfinished('busy')
  const isOfStore = error instanceof TransientError && error.details.dependency !== undefined
  // That an object is missing is not a failure of the store.
  if (!isOfStore || error.details.missing === true) return unfinished('failed')
  const dependency = storeBreaker(object.bucket)
  const task = `arrival:${arrivalId}`
  const failure = { task, hasFailedBefore: attempts > 1, step, error, reason, at }
  const { isOpen, requests } = await noteFailure(context.database, dependency, failure)
  await sendRequests(context, requests, AbortSignal.timeout(ENDING_MS))
  return unfinished(isOpen ? 'unavailable' : 'failed')
}

/**
 * Writes the row with `write`, and the alert if its state is `failed`, in one transaction: no arrival fails
 * without an alert, and a second alert follows the last attempt. History is counted in the summary of its tag.
 * @param write returns false when there was nothing left to write. @returns its result.
 */
async function writeUnfinished(
  context: Context<'database' | 'queues'>,
  { arrivalId, run, object, restarts }: Attempt,
  { state, attempts, reason, nextAttemptAt }: UnfinishedArrival,
  write: (trx: Transaction<Schema>) => Promise<boolean>,
): Promise<boolean> {
  const isLast = nextAttemptAt === null
  const what = `${object.key} could not be catalogued after ${attempts} tries`
  const failed = alert({
    rule: 'arrival-failed',
    severity: 'error',
    summary: `${what}${isLast ? ', and its regular tries have ended' : ''}: ${reason}`,
    facts: { attempts },
    run: { id: null, tag: run.tag, runNumber: run.runNumber },
    object: { bucket: object.bucket, key: object.key },
    cause: `arrival/${arrivalId}/${restarts}${isLast ? '/given-up' : ''}`,
  })
  const alerts = await inTransaction(context.database, async (trx) => {
    if (!(await write(trx))) return null
    const written = state === 'failed' && !(await isHistory(trx, arrivalId, object)) ? [failed] : []
    await addRequests(trx, written, context.now())
    return written
  })
  if (alerts !== null) await sendRequests(context, alerts, AbortSignal.timeout(ENDING_MS))
  return alerts !== null
}

async function isHistory(trx: Transaction<Schema>, arrivalId: number, object: ObjectName): Promise<boolean> {
  const arrival = await trx
    .selectFrom('arrivals')
    .select('isHistory')
    .where('id', '=', arrivalId)
    .executeTakeFirst()
  if (arrival?.isHistory !== true) return false
  return !(await alreadyNew(trx, [object], await takeOverTimes(trx))).has(object)
}

/** What a failed attempt at an arrival leaves: when the next one is, and who is alerted. */
import type { Transaction } from 'kysely'
import {
  type ArrivalLease,
  endAttempt,
  findArrival,
  recordArrivals,
  recordUnfinished,
  type UnfinishedArrival,
  unfinishedArrival,
} from '../catalogue/arrivals.ts'
import { alertRequest, dependencyAlert } from '../catalogue/next-steps.ts'
import type { Context } from '../context.ts'
import { inTransaction } from '../database/connect.ts'
import type { Arrival, Schema } from '../database/schema.ts'
import { ConflictError, classify, TransientError } from '../errors.ts'
import { type Logger, withoutSecrets } from '../log.ts'
import type { ObjectArrival } from '../notifications/arrival.ts'
import type { ObjectName, RunFileId } from '../run.ts'
import { noteFailure, storeBreaker } from '../work/breaker.ts'
import { addRequests } from '../work/outbox.ts'
import type { UnfinishedEnding } from '../work/retry-policy.ts'
import { sendRequests } from '../work/send-requests.ts'
import type { Outcome } from './outcome.ts'

/** For what is still to be written when the function is being stopped. */
const ENDING_MS = 10_000
/**
 * A function that is stopped after so long at one object has used up its own time limit: that is a failure.
 */
const LONGEST_MS = 600_000

interface Attempt {
  readonly arrivalId: number
  readonly run: RunFileId
  readonly object: ObjectName
  /** Counts this attempt. */
  readonly attempts: number
}

/** How the attempt was stopped, and what it failed of. */
interface AttemptFailure {
  readonly thrown: unknown
  readonly step: 'check' | 'act'
  readonly since: Date
  /** The host's. */
  readonly signal: AbortSignal
  /** Aborts when the lease is lost, too. */
  readonly held: AbortSignal
  readonly log: Logger
}

/**
 * An attempt under a lease failed: its row is freed for the next.
 * @returns `look-again` when the object changed meanwhile.
 * @throws what was thrown, when the row cannot be written: the lease runs out by itself.
 */
export async function recordFailure(
  context: Context<'database' | 'queues'>,
  lease: ArrivalLease,
  { run, object }: Pick<Attempt, 'run' | 'object'>,
  stopped: AttemptFailure,
): Promise<Outcome | 'look-again'> {
  const attempt = { arrivalId: lease.id, run, object, attempts: lease.attempt }
  const error = classify(stopped.thrown)
  try {
    const undone = await classifyFailure(context, attempt, stopped)
    await writeUnfinished(context, attempt, undone, async (trx) => {
      await endAttempt(trx, lease, undone)
      return true
    })
    logUnfinished(stopped.log, stopped.thrown, undone)
    return error instanceof ConflictError ? 'look-again' : outcomeOf(undone)
  } catch (second) {
    if (second instanceof ConflictError) {
      stopped.log.info({ error }, 'arrival-taken-over')
      return 'in-progress'
    }
    stopped.log.warn({ error: second, key: object.key }, 'failure-not-written-down')
    throw error
  }
}

/**
 * The object could not even be described: there is an arrival of it from now on, and the attempt is counted.
 * @throws when that cannot be written.
 */
export async function recordUndescribed(
  context: Context<'database' | 'queues'>,
  hint: ObjectArrival,
  run: RunFileId,
  stopped: Omit<AttemptFailure, 'step' | 'held'>,
): Promise<Outcome> {
  await recordArrivals(context.database, [hint], context.now())
  const found = await findArrival(context.database, hint)
  if (found === null) throw new TransientError(`the ledger lost the arrival of ${hint.key}`)
  if (found.state === 'processing') return 'in-progress'
  const attempt = { arrivalId: found.id, run, object: hint, attempts: found.attempts + 1 }
  const undone = await classifyFailure(context, attempt, { ...stopped, step: 'check', held: stopped.signal })
  await writeUnfinished(context, attempt, undone, (trx) => recordUnfinished(trx, found, undone))
  logUnfinished(stopped.log, stopped.thrown, undone)
  return outcomeOf(undone)
}

/**
 * Whoever read the object died without a word, again and again: that is a failure of its own, before it takes
 * another function along.
 */
export async function recordReaderDeaths(
  context: Context<'database' | 'queues'>,
  arrival: Arrival,
  about: Pick<Attempt, 'run' | 'object'>,
): Promise<boolean> {
  const { id: arrivalId, attempts } = arrival
  const undone = unfinishedArrival(attempts, 'failed', `its reader died ${attempts} times`, context.now())
  return await writeUnfinished(context, { ...about, arrivalId, attempts }, undone, (trx) =>
    recordUnfinished(trx, arrival, undone),
  )
}

const outcomeOf = ({ state }: UnfinishedArrival) => (state === 'failed' ? 'failed' : 'deferred')

/** Logged with its run, whose page and logs show it. */
function logUnfinished(log: Logger, thrown: unknown, { attempts, nextAttemptAt }: UnfinishedArrival): void {
  const error = classify(thrown)
  log[error instanceof ConflictError ? 'info' : 'error'](
    { error, attempt: attempts, nextAttemptAt },
    'arrival-not-processed',
  )
}

/** Counts what failed against the store, where it is the store's. */
async function classifyFailure(
  context: Context<'database' | 'queues'>,
  { arrivalId, object, attempts }: Attempt,
  { thrown, step, since, signal, held }: Omit<AttemptFailure, 'log'>,
): Promise<UnfinishedArrival> {
  const error = classify(thrown)
  const reason = withoutSecrets(error.message)
  const at = context.now()
  const undone = (ending: UnfinishedEnding, why = reason) => unfinishedArrival(attempts, ending, why, at)
  if (signal.aborted) {
    const isTooLong = at.getTime() - since.getTime() > LONGEST_MS
    return isTooLong
      ? undone('failed', 'the time limit of the function ended before the object was read')
      : undone('interrupted', 'the function was stopped')
  }
  if (error instanceof ConflictError || held.aborted) return undone('busy')
  const isOfStore = error instanceof TransientError && error.details.dependency !== undefined
  // An object that is missing is no fault of the store.
  if (!isOfStore || error.details.missing === true) return undone('failed')
  const dependency = storeBreaker(object.bucket)
  const failure = { task: `arrival:${arrivalId}`, step, error, reason, at }
  const { isOpen, requests } = await noteFailure(context.database, dependency, failure, (since) =>
    dependencyAlert(dependency, since, reason),
  )
  await sendRequests(context, requests, AbortSignal.timeout(ENDING_MS))
  return undone(isOpen ? 'unavailable' : 'failed')
}

/**
 * Writes the row, and with one that is failed the alert, in one transaction: none is given up in silence.
 * `write` says whether the row was still to be written. Returns that.
 */
async function writeUnfinished(
  context: Context<'database' | 'queues'>,
  { arrivalId, run, object }: Attempt,
  { state, attempts, reason }: UnfinishedArrival,
  write: (trx: Transaction<Schema>) => Promise<boolean>,
): Promise<boolean> {
  const failed = alertRequest({
    rule: 'arrival-failed',
    severity: 'error',
    summary: `${object.key} could not be catalogued after ${attempts} tries: ${reason}`,
    tag: run.tag,
    runNumber: run.runNumber,
    runId: null,
    object: { bucket: object.bucket, key: object.key },
    occurrence: `arrival/${arrivalId}`,
  })
  const alerts = state === 'failed' ? [failed] : []
  const isWritten = await inTransaction(context.database, async (trx) => {
    if (!(await write(trx))) return false
    await addRequests(trx, alerts, context.now())
    return true
  })
  if (isWritten) await sendRequests(context, alerts, AbortSignal.timeout(ENDING_MS))
  return isWritten
}

/** How an arrival ends that does not become a run, and what a human is told of it. */
import type { Transaction } from 'kysely'
import {
  type ArrivalLease,
  closeArrival,
  countFailedLook,
  endAttempt,
  findArrival,
  identityOf,
  MAX_ATTEMPTS,
  recordArrivals,
  rejectArrival,
} from '../catalogue/arrivals.ts'
import { alertRequest } from '../catalogue/next-steps.ts'
import { findLiveFile } from '../catalogue/runs.ts'
import type { Context } from '../context.ts'
import type { Schema } from '../database/schema.ts'
import { ConflictError, classify } from '../errors.ts'
import type { ObjectArrival } from '../notifications/arrival.ts'
import type { ObjectName, RunFileId } from '../run.ts'
import type { ObjectDescription } from '../storage/objects.ts'
import { addRequests, flushOutbox, type Request } from '../work/outbox.ts'

/** Writes an alert and sends it. */
async function alert(
  context: Context<'database' | 'queues'>,
  request: Request,
  signal: AbortSignal,
): Promise<void> {
  await addRequests(context.database, [request], context.now())
  await flushOutbox(context.database, context.queues, { names: [request.name] }, signal)
}

/** What is known of an arrival that is given up. */
interface GivenUp {
  readonly arrivalId: number
  readonly attempts: number
  readonly reason: string
  readonly run: RunFileId
  readonly object: ObjectName
}

/**
 * Makes an arrival failed and writes the alert with it, in one transaction: none is given up untold. `fail`
 * says whether it still was to be failed. Returns that.
 */
export async function giveUp(
  context: Context<'database' | 'queues'>,
  { arrivalId, attempts, reason, run, object }: GivenUp,
  fail: (trx: Transaction<Schema>) => Promise<boolean>,
  signal: AbortSignal,
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
  const given = await context.database.transaction().execute(async (trx) => {
    if (!(await fail(trx))) return false
    await addRequests(trx, [failed], context.now())
    return true
  })
  if (given) await flushOutbox(context.database, context.queues, { names: [failed.name] }, signal)
  return given
}

/**
 * The object cannot even be looked at: the try is counted, and after the last one the arrival is failed,
 * which is told.
 */
export async function reportUnseen(
  context: Context<'database' | 'queues'>,
  hint: ObjectArrival,
  run: RunFileId,
  thrown: unknown,
  signal: AbortSignal,
): Promise<void> {
  const { message: reason } = classify(thrown)
  await recordArrivals(context.database, [hint], context.now())
  const found = await findArrival(context.database, hint)
  if (found === null || (found.state !== 'received' && found.state !== 'failed')) return
  const attempts = found.attempts + 1
  if (attempts < MAX_ATTEMPTS) await countFailedLook(context.database, found, reason)
  else
    await giveUp(
      context,
      { arrivalId: found.id, attempts, reason, run, object: hint },
      (trx) => countFailedLook(trx, found, reason),
      signal,
    )
}

/**
 * Writes down why a try failed and frees the object for the next; after the last one the arrival is failed,
 * which is told.
 */
export async function giveBack(
  context: Context<'database' | 'queues'>,
  lease: ArrivalLease,
  object: ObjectDescription,
  run: RunFileId,
  thrown: unknown,
  signal: AbortSignal,
): Promise<void> {
  const error = classify(thrown)
  const last = lease.attempt >= MAX_ATTEMPTS && !(error instanceof ConflictError)
  try {
    if (last) {
      const given = {
        arrivalId: lease.id,
        attempts: lease.attempt,
        reason: error.message,
        run,
        object,
      }
      const fail = (trx: Transaction<Schema>) =>
        endAttempt(trx, lease, { state: 'failed', reason: error.message }).then(() => true)
      await giveUp(context, given, fail, signal)
    } else await endAttempt(context.database, lease, { state: 'received', reason: error.message })
  } catch (second) {
    // The lease runs out by itself; the first error is the one to report.
    context.log.warn({ error: second, key: object.key }, 'failure-not-written-down')
  }
}

/** A key that only looks like a run. */
export async function rejectMisnamed(
  context: Context<'database' | 'queues'>,
  hint: ObjectArrival,
  reason: string,
  signal: AbortSignal,
): Promise<'invalid'> {
  const misnamed = alertRequest({
    rule: 'misnamed-object',
    severity: 'warning',
    summary: reason,
    tag: null,
    runNumber: null,
    runId: null,
    object: hint,
    occurrence: identityOf({ ...hint, versionId: null, etag: null }).toString('hex'),
  })
  await rejectArrival(context.database, hint, reason, context.now())
  await alert(context, misnamed, signal)
  return 'invalid'
}

/** The object was announced, but is not there. */
export async function reportGone(
  context: Context<'database' | 'queues'>,
  hint: ObjectArrival,
  run: RunFileId,
  signal: AbortSignal,
): Promise<'gone'> {
  const reason = 'the object was no longer in the bucket when it was looked at'
  await recordArrivals(context.database, [hint], context.now())
  await closeArrival(context.database, hint, 'gone', reason)
  if ((await findLiveFile(context.database, hint)) !== null) return 'gone'
  const gone = alertRequest({
    rule: 'object-gone',
    severity: 'error',
    summary: `${hint.key} was announced but ${reason}; it was never catalogued`,
    tag: run.tag,
    runNumber: run.runNumber,
    runId: null,
    object: hint,
    occurrence: identityOf(hint).toString('hex'),
  })
  await alert(context, gone, signal)
  return 'gone'
}

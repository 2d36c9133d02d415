/** How an arrival ends that does not become a run, and what a human is told of it. */
import {
  closeArrival,
  countFailedLook,
  endAttempt,
  findArrival,
  identityOf,
  type Lease,
  recordArrivals,
  rejectArrival,
} from '../../shared/catalogue/arrivals.ts'
import { alertRequest } from '../../shared/catalogue/next-steps.ts'
import { addRequests, flushOutbox, type Request } from '../../shared/catalogue/outbox.ts'
import { findLiveFile } from '../../shared/catalogue/runs.ts'
import { ConflictError, classify } from '../../shared/errors.ts'
import type { ObjectArrival } from '../../shared/notifications/arrival.ts'
import type { RunKey } from '../../shared/notifications/run-key.ts'
import type { StorageContext } from '../../shared/runtime/context.ts'
import type { ObjectDescription, ObjectName } from '../../shared/storage/objects.ts'

/** After this many tries an arrival is `failed`; the queue's maxReceiveCount in serverless.yml is the same number. */
export const MAX_ATTEMPTS = 6

/** Writes an alert and sends it. */
export async function alert(context: StorageContext, request: Request, signal: AbortSignal): Promise<void> {
  await addRequests(context.database, [request], context.now())
  await flushOutbox(context.database, context.queues, { names: [request.name] }, signal)
}

/** What is told of an arrival that is given up. */
export function failedAlert(arrivalId: number, attempts: number, reason: string, run: RunKey, object: ObjectName): Request {
  return alertRequest({
    rule: 'arrival-failed',
    severity: 'error',
    summary: `${object.key} could not be catalogued after ${attempts} tries: ${reason}`,
    tag: run.tag,
    runNumber: run.runNumber,
    runId: null,
    object: { bucket: object.bucket, key: object.key },
    occurrence: `arrival/${arrivalId}`,
  })
}

/** The object cannot even be looked at: the try is counted, and after the last one the arrival is failed, which is told. */
export async function reportUnseen(
  context: StorageContext,
  hint: ObjectArrival,
  run: RunKey,
  thrown: unknown,
  signal: AbortSignal,
): Promise<void> {
  const { message } = classify(thrown)
  await recordArrivals(context.database, [hint], context.now())
  const tries = await countFailedLook(context.database, hint, message, MAX_ATTEMPTS)
  if (tries === null || tries < MAX_ATTEMPTS) return
  const arrival = await findArrival(context.database, hint)
  if (arrival !== null) await alert(context, failedAlert(arrival.id, tries, message, run, hint), signal)
}

/** Writes down why a try failed and frees the object for the next; after the last one the arrival is failed, which is told. */
export async function giveBack(
  context: StorageContext,
  lease: Lease,
  object: ObjectDescription,
  run: RunKey,
  thrown: unknown,
  signal: AbortSignal,
): Promise<void> {
  const error = classify(thrown)
  const last = lease.attempt >= MAX_ATTEMPTS && !(error instanceof ConflictError)
  try {
    if (last) {
      const failed = failedAlert(lease.arrivalId, lease.attempt, error.message, run, object)
      await context.database.transaction().execute(async (trx) => {
        await addRequests(trx, [failed], context.now())
        await endAttempt(trx, lease, { state: 'failed', reason: error.message })
      })
      await flushOutbox(context.database, context.queues, { names: [failed.name] }, signal)
    } else await endAttempt(context.database, lease, { state: 'received', reason: error.message })
  } catch (second) {
    // The lease runs out by itself; the first error is the one to report.
    context.log.warn({ error: second, key: object.key }, 'failure-not-written-down')
  }
}

/** A key that only looks like a run. */
export async function rejectMisnamed(
  context: StorageContext,
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
export async function reportGone(context: StorageContext, hint: ObjectArrival, run: RunKey, signal: AbortSignal): Promise<'gone'> {
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

/** Closes arrivals that cannot be read (no run's key, or no object), with an alert. */
import { closeArrival, identityOf, recordArrivals, rejectArrival } from '../catalogue/arrivals.ts'
import { alertRequest } from '../catalogue/next-steps.ts'
import { findLiveFile } from '../catalogue/runs.ts'
import { isHistory } from '../catalogue/take-over.ts'
import type { Context } from '../context.ts'
import type { ObjectArrival } from '../notifications/arrival.ts'
import type { RunFileId } from '../run.ts'
import { addRequests, type Request } from '../work/outbox.ts'
import { sendRequests } from '../work/send-requests.ts'

/**
 * Writes the alert, closes the arrival, then sends the alert. In this order: if the function dies in between,
 * the arrival is still due. History is counted in the summary of its tag.
 */
async function alertAndClose(
  context: Context<'database' | 'queues'>,
  hint: ObjectArrival,
  alert: Request,
  close: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (await isHistory(context.database, hint, hint.eventTime, context.now())) return await close()
  await addRequests(context.database, [alert], context.now())
  await close()
  await sendRequests(context, [alert], signal)
}

/** Rejects an arrival whose key resembles that of a run but is not valid. */
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
  const reject = () => rejectArrival(context.database, hint, reason, context.now())
  await alertAndClose(context, hint, misnamed, reject, signal)
  return 'invalid'
}

/** Closes the arrival of an object that is not in the store; alerts if it was never catalogued. */
export async function reportMissing(
  context: Context<'database' | 'queues'>,
  hint: ObjectArrival,
  run: RunFileId,
  signal: AbortSignal,
): Promise<'gone'> {
  const reason = 'the object was not in the bucket when it was checked'
  await recordArrivals(context.database, [hint], context.now())
  const close = () => closeArrival(context.database, hint, 'gone', reason)
  if ((await findLiveFile(context.database, hint)) !== null) {
    await close()
    return 'gone'
  }
  const alert = alertRequest({
    rule: 'object-gone',
    severity: 'error',
    summary: `${hint.key} was announced but ${reason}; it was never catalogued`,
    tag: run.tag,
    runNumber: run.runNumber,
    runId: null,
    object: hint,
    occurrence: identityOf(hint).toString('hex'),
  })
  await alertAndClose(context, hint, alert, close, signal)
  return 'gone'
}

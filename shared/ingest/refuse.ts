/** Closes arrivals that cannot be read (no run's key, or no object), with an alert. */
import type { Transaction } from 'kysely'
import {
  closeArrival,
  findArrival,
  identityOf,
  recordArrivals,
  rejectArrival,
} from '../catalogue/arrivals.ts'
import { endedByReading } from '../catalogue/run-alerts.ts'
import { findLiveFile } from '../catalogue/runs.ts'
import { isHistory } from '../catalogue/take-over.ts'
import type { Context } from '../context.ts'
import { inTransaction } from '../database/connect.ts'
import type { Schema } from '../database/schema.ts'
import type { ObjectArrival } from '../notifications/arrival.ts'
import type { RunFileId } from '../run.ts'
import { addRequests, type Request } from '../work/outbox.ts'
import { alert } from '../work/raise-alert.ts'
import { resolveRaised } from '../work/raised-alerts.ts'
import { sendRequests } from '../work/send-requests.ts'

/** History is counted in the summary of its tag. */
async function isReported({ database, now }: Context<'database'>, hint: ObjectArrival): Promise<boolean> {
  return !(await isHistory(database, hint, hint.eventTime, now()))
}

/** Rejects an arrival whose key resembles that of a run but is not valid. */
export async function rejectMisnamed(
  context: Context<'database' | 'queues'>,
  hint: ObjectArrival,
  reason: string,
  signal: AbortSignal,
): Promise<'invalid'> {
  const at = context.now()
  const { bucket, key, sizeBytes } = hint
  const misnamed = alert({
    rule: 'misnamed-object',
    severity: 'warning',
    summary: reason,
    facts: sizeBytes === null ? {} : { sizeBytes },
    object: { bucket, key },
    cause: identityOf({ ...hint, versionId: null, etag: null }).toString('hex'),
  })
  const requests = (await isReported(context, hint)) ? [misnamed] : []
  await inTransaction(context.database, async (trx) => {
    await addRequests(trx, requests, at)
    await rejectArrival(trx, hint, reason, at)
  })
  await sendRequests(context, requests, signal)
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
  const { database } = context
  const at = context.now()
  const summary = `${hint.key} was announced but ${reason}; it was never catalogued`
  const { bucket, key } = hint
  const gone = alert({
    rule: 'object-gone',
    severity: 'error',
    summary,
    run: { id: null, tag: run.tag, runNumber: run.runNumber },
    object: { bucket, key },
    cause: identityOf(hint).toString('hex'),
  })
  const wasCatalogued = (await findLiveFile(database, hint)) !== null
  const alerts = !wasCatalogued && (await isReported(context, hint)) ? [gone] : []
  const requests = await inTransaction(database, async (trx) => {
    const ended = await closeHint(trx, hint, run, 'gone', reason, at)
    await addRequests(trx, alerts, at)
    return [...ended, ...alerts]
  })
  await sendRequests(context, requests, signal)
  return 'gone'
}

/**
 * Closes the arrival of a notification whose object is not in the store, or is another version by now: nobody waits
 * for its reading any more. @returns what was written, to be sent.
 */
export async function closeHint(
  trx: Transaction<Schema>,
  hint: ObjectArrival,
  run: RunFileId,
  outcome: 'gone' | 'superseded',
  reason: string,
  at: Date,
): Promise<readonly Request[]> {
  await recordArrivals(trx, [hint], at)
  const before = await findArrival(trx, hint)
  await closeArrival(trx, hint, outcome, reason)
  const ended = endedByReading(hint, run, `${hint.key}: ${reason}`, ['arrival-failed'])
  return before?.state === 'failed' ? await resolveRaised(trx, ended, at) : []
}

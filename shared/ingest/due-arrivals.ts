/** Arrivals whose time has come are found in the ledger and processed: any message about them may be lost. */
import type { Context } from '../context.ts'
import { inTransaction } from '../database/connect.ts'
import type { Arrival } from '../database/schema.ts'
import type { Logger } from '../log.ts'
import type { ArrivalSource, ObjectArrival } from '../notifications/arrival.ts'
import { beginProbe, lockBreaker, noteSuccess, storeBreaker } from '../work/breaker.ts'
import { drain } from '../work/drain.ts'
import { isFree } from '../work/lease.ts'
import { processArrival } from './process-arrival.ts'

type Host = Context<'database' | 'queues' | 's3'>

/** At once, as far as none of them has been left by a function that died. */
const AT_ONCE = 2
/** It is due again then, should its function die before it claims the version. */
const TAKEN_FOR_MS = 60_000

/**
 * Processes the due arrivals of a bucket until there is none or the time to begin one is over. Those that
 * were left by a dead function come last, one at a time: what kills its reader kills no other attempt with
 * it.
 */
export async function processDue(
  context: Host,
  bucket: string,
  signal: AbortSignal,
  log: Logger,
): Promise<{ readonly processed: number }> {
  const next = (which: 'waiting' | 'left') => async () => {
    const taken = await takeDue(context, bucket, which)
    if (taken !== null) await processTaken(context, taken, signal, log)
    return taken
  }
  const waiting = await drain(AT_ONCE, signal, next('waiting'))
  const left = await drain(1, signal, next('left'))
  return { processed: waiting.length + left.length }
}

/**
 * The arrival that is due for longest. Null when none is, or while the breaker of the store is open; where
 * that is half-open it is the probe.
 */
async function takeDue(context: Host, bucket: string, which: 'waiting' | 'left'): Promise<Arrival | null> {
  const at = context.now()
  const dependency = storeBreaker(bucket)
  return await inTransaction(context.database, async (trx) => {
    const gate = await lockBreaker(trx, dependency, at)
    if (gate === 'open') return null
    const due = await trx
      .selectFrom('arrivals')
      .selectAll()
      .where('bucket', '=', bucket)
      .where('nextAttemptAt', '<=', at)
      .where('state', which === 'left' ? '=' : '!=', 'processing')
      .where(isFree())
      .orderBy('nextAttemptAt')
      .orderBy('id')
      .limit(1)
      .executeTakeFirst()
    if (due === undefined) return null
    const taken = { nextAttemptAt: new Date(at.getTime() + TAKEN_FOR_MS) }
    await trx
      .updateTable('arrivals')
      .set(taken)
      .where('id', '=', due.id)
      .where('nextAttemptAt', '=', due.nextAttemptAt)
      .execute()
    if (gate === 'half-open') await beginProbe(trx, dependency, at)
    return { ...due, ...taken }
  })
}

async function processTaken(context: Host, taken: Arrival, signal: AbortSignal, log: Logger): Promise<void> {
  const { database, now } = context
  // What it throws is logged: the arrival is due again a minute after it was taken.
  const outcome = await processArrival(context, hintOf(taken), signal, log).catch(() => null)
  if (outcome === null || outcome === 'deferred' || outcome === 'failed') return
  // The store has answered at least whether the object is there.
  await noteSuccess(database, storeBreaker(taken.bucket), 'check', now())
  if (outcome === 'in-progress') return
  // Done with it, where nobody has written another time meanwhile.
  await database
    .updateTable('arrivals')
    .set({ nextAttemptAt: null })
    .where('id', '=', taken.id)
    .where('nextAttemptAt', '=', taken.nextAttemptAt)
    .execute()
}

/** What a message about the arrival would say. */
const hintOf = (arrival: Arrival): ObjectArrival => ({
  bucket: arrival.bucket,
  key: arrival.objectKey,
  etag: arrival.etag === '' ? null : arrival.etag,
  versionId: arrival.versionId,
  sizeBytes: arrival.sizeBytes,
  sequencer: arrival.sequencer,
  eventName: arrival.eventName,
  eventTime: arrival.eventTime,
  source: arrival.source as ArrivalSource,
})

/** Processes arrivals that are due according to the ledger: any message about them may have been lost. */
import type { Context } from '../context.ts'
import { inTransaction } from '../database/connect.ts'
import type { Arrival } from '../database/schema.ts'
import { classify } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { ArrivalSource, ObjectArrival } from '../notifications/arrival.ts'
import { LONGEST_WAIT_MS } from '../work/back-off.ts'
import { beginProbe, endProbe, lockBreaker, noteSuccess, storeBreaker } from '../work/breaker.ts'
import { drain } from '../work/drain.ts'
import { isAttemptDue } from '../work/due.ts'
import { isFree } from '../work/lease.ts'
import { processArrival, routeOf } from './process-arrival.ts'

type Host = Context<'database' | 'queues' | 's3'>

/** Arrivals processed at a time; those that a function abandoned by dying are processed one by one. */
const AT_ONCE = 2
/** The arrival is due again after this time, if the function dies before it claims the version. */
const TAKEN_FOR_MS = 60_000

/**
 * Which due arrivals: those abandoned by a function that died, history (abandoned or not), or all others.
 */
type Which = 'waiting' | 'abandoned' | 'history'

/**
 * Processes the due arrivals of a bucket until none is left or the time to start one is over. Those abandoned
 * by a function that died come after the others, one at a time: an object that kills its reader then
 * interrupts no other attempt. History comes last, one at a time, and only while nothing else waits.
 * @param sendLeftBehind called before each object of history.
 */
export async function processDue(
  context: Host,
  bucket: string,
  signal: AbortSignal,
  log: Logger,
  sendLeftBehind: () => Promise<unknown> = async () => {},
): Promise<{ readonly processed: number }> {
  const next = (which: Which) => async () => {
    const taken = await takeDue(context, bucket, which)
    if (taken !== null) await processTaken(context, taken, signal, log)
    return taken
  }
  const waiting = await drain(AT_ONCE, signal, next('waiting'))
  const abandoned = await drain(1, signal, next('abandoned'))
  const history = await drain(1, signal, async () => {
    const newer = (await next('waiting')()) ?? (await next('abandoned')())
    if (newer !== null) return newer
    await sendLeftBehind().catch((error) => log.error({ error: classify(error) }, 'requests-not-sent'))
    return await next('history')()
  })
  return { processed: waiting.length + abandoned.length + history.length }
}

/**
 * Takes the arrival that has been due for longest. Null when none is due, or while the breaker of the store
 * is open. If the breaker is half-open, this arrival is its probe.
 */
async function takeDue(context: Host, bucket: string, which: Which): Promise<Arrival | null> {
  const at = context.now()
  const dependency = storeBreaker(bucket)
  return await inTransaction(context.database, async (trx) => {
    const gate = await lockBreaker(trx, dependency, at)
    if (gate === 'open') return null
    const due = await trx
      .selectFrom('arrivals')
      .selectAll()
      .where('bucket', '=', bucket)
      .where('isHistory', '=', which === 'history')
      .where(isAttemptDue(at, LONGEST_WAIT_MS.retry))
      .where((where) => {
        if (which === 'history') return where.and([])
        const isAbandoned = where.or([where('state', '=', 'processing'), where('deaths', '>', 0)])
        return which === 'abandoned' ? isAbandoned : where.not(isAbandoned)
      })
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
  const hint = hintOf(taken)
  // processArrival logs its errors; the arrival is due again a minute after it was taken.
  const outcome = await processArrival(context, hint, signal, log).catch(() => null)
  if (outcome === null || outcome === 'deferred' || outcome === 'failed') return
  const dependency = storeBreaker(taken.bucket)
  // The store has answered at least the request to describe the object, unless it was not asked.
  if (routeOf(context, hint).kind === 'run') await noteSuccess(database, dependency, 'check', now())
  else await endProbe(database, dependency, now())
  if (outcome === 'in-progress') return
  // Finished, unless another process has set a new time meanwhile.
  await database
    .updateTable('arrivals')
    .set({ nextAttemptAt: null })
    .where('id', '=', taken.id)
    .where('nextAttemptAt', '=', taken.nextAttemptAt)
    .execute()
}

/** The content of a message about the arrival. */
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

/**
 * From a notification to a run in the catalogue: reads the current version of the object once, and records
 * the result.
 */
import { type ArrivalLease, claimNewArrival, endAttempt, identityOf } from '../catalogue/arrivals.ts'
import { noteNotificationTest } from '../catalogue/notification-tests.ts'
import { type NotRecorded, recordFile, recordInvalid } from '../catalogue/record-file.ts'
import { isHistory as isHistoryOf } from '../catalogue/take-over.ts'
import type { Context } from '../context.ts'
import { inTransaction } from '../database/connect.ts'
import { ConflictError, classify, InvalidInputError, TransientError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { ObjectArrival } from '../notifications/arrival.ts'
import { type Route, routeKey } from '../notifications/route-key.ts'
import { runInName } from '../notifications/run-in-name.ts'
import type { ObjectName, RunFileId } from '../run.ts'
import { describeObject, type ObjectDescription } from '../storage/objects.ts'
import { clockDifference, latestDate } from '../storage/store-clock.ts'
import { blame, noteSuccess, storeBreaker } from '../work/breaker.ts'
import { leaseOwner, whileHeld } from '../work/lease.ts'
import type { Request } from '../work/outbox.ts'
import { sendRequests } from '../work/send-requests.ts'
import { claimKnown } from './claim.ts'
import { extractAndCompare } from './extract-and-compare.ts'
import { recordFailure, recordUndescribed } from './failed-attempt.ts'
import type { Outcome } from './outcome.ts'
import { closeHint, rejectMisnamed, reportMissing } from './refuse.ts'

/** Attempts at the current version of a key that is overwritten while it is read. */
const VERSION_ATTEMPTS = 3

/**
 * Processes one arrival. Any number of concurrent or repeated calls have one outcome. A failed attempt is
 * recorded in the arrival's row with the time of the next one: from then on no message is needed.
 * @throws the error that prevented the arrival, or the outcome of the attempt, from being recorded.
 */
export async function processArrival(
  context: Context<'database' | 'queues' | 's3'>,
  hint: ObjectArrival,
  signal: AbortSignal,
  log: Logger,
): Promise<Outcome> {
  const started = performance.now()
  const { bucket, key, source } = hint
  const { tag, runNumber: run } = runInName(key) ?? {}
  const fields = log.child({ bucket, key, tag: tag ?? undefined, run })
  try {
    const { outcome, reason } = await processRoute(context, hint, signal, fields)
    const ms = Math.round(performance.now() - started)
    fields[outcome === 'invalid' ? 'warn' : 'info']({ outcome, reason, source, ms }, 'arrival-processed')
    return outcome
  } catch (thrown) {
    // The run's page and its logs show this event.
    const error = classify(thrown)
    fields.error({ error }, 'arrival-not-recorded')
    throw error
  }
}

/** What the key of an object means; the store is asked only about runs. */
export function routeOf({ config }: Context, { bucket, key }: ObjectName): Route {
  const { rawBuckets, ignoredPrefixes } = config.store
  return rawBuckets.includes(bucket) ? routeKey(key, ignoredPrefixes) : { kind: 'ignored' }
}

/** `reason`: why the object is invalid. */
interface Processed {
  readonly outcome: Outcome
  readonly reason?: string | undefined
}

async function processRoute(
  context: Context<'database' | 'queues' | 's3'>,
  hint: ObjectArrival,
  signal: AbortSignal,
  log: Logger,
): Promise<Processed> {
  const route = routeOf(context, hint)
  if (route.kind === 'ignored') {
    await noteNotificationTest(context.database, hint.key, 'processedAt')
    return { outcome: 'ignored' }
  }
  if (route.kind === 'misnamed') {
    const { reason } = route
    return { outcome: await rejectMisnamed(context, hint, reason, signal), reason }
  }
  const since = context.now()
  for (let attempt = 1; attempt <= VERSION_ATTEMPTS; attempt++) {
    const isLast = attempt === VERSION_ATTEMPTS
    const processed = await processCurrentVersion(context, hint, route.run, isLast, signal, log)
    if (processed !== 'check-again') return processed
  }
  // The last version was replaced after it was read: the arrival is due again for the one that replaced it.
  const thrown = changesTooFast(hint)
  return { outcome: await recordUndescribed(context, hint, route.run, { thrown, since, signal, log }) }
}

const changesTooFast = ({ key }: ObjectName) =>
  new TransientError(`the store stated ${VERSION_ATTEMPTS} times that ${key} changed while it was read`)

async function processCurrentVersion(
  context: Context<'database' | 'queues' | 's3'>,
  hint: ObjectArrival,
  run: RunFileId,
  isLast: boolean,
  signal: AbortSignal,
  log: Logger,
): Promise<Processed | 'check-again'> {
  const dependency = storeBreaker(hint.bucket)
  const since = context.now()
  let object: ObjectDescription | null
  try {
    object = await describe(context, hint, signal)
  } catch (thrown) {
    return { outcome: await recordUndescribed(context, hint, run, { thrown, since, signal, log }) }
  }
  if (object === null) return { outcome: await reportMissing(context, hint, run, signal) }
  const { leaseSeconds } = context.config.work
  const at = latestDate(object.lastModified, clockDifference(object.storeTime, since, context.now()))
  const isHistory = await isHistoryOf(context.database, hint, at, context.now())
  const options = { owner: leaseOwner(context), leaseSeconds, at: context.now(), isHistory }
  const fresh = await claimNewArrival(context.database, hint, object, options)
  const claim = fresh ?? (await claimKnown(context, object, run, options))
  // After the claim: if the function dies in between, one of the two arrivals is still due.
  if (!identityOf(hint).equals(identityOf(object))) await supersedeHint(context, hint, run, object)
  if (typeof claim === 'string') return { outcome: claim }
  const claimed = { hint, run, object, isHistory, lease: claim }
  const { outcome, reason, requests } = await whileHeld(
    context.database,
    claim,
    leaseSeconds,
    signal,
    async (held): Promise<RecordedArrival> => {
      try {
        return await extractAndRecord(context, claimed, held, log)
      } catch (error) {
        // Counted and delayed like any failure, since the store may answer so to every reading.
        const thrown = isLast && error instanceof ConflictError ? changesTooFast(object) : error
        const failure = { thrown, step: 'act', since, signal, held, log } as const
        return { outcome: await recordFailure(context, claim, claimed, failure), requests: [] }
      }
    },
  )
  await sendRequests(context, requests, signal)
  if (claim.storeFailed && READ.includes(outcome))
    await noteSuccess(context.database, dependency, 'act', context.now())
  return outcome === 'check-again' ? outcome : { outcome, reason }
}

/** @throws an error attributed to the store. */
async function describe(
  { s3 }: Context<'s3'>,
  name: ObjectName,
  signal: AbortSignal,
): Promise<ObjectDescription | null> {
  return await describeObject(s3, name, signal).catch((error) => {
    throw blame(storeBreaker(name.bucket), error)
  })
}

/** Closes the arrival of a notification that named another version than the store holds now, or none. */
async function supersedeHint(
  context: Context<'database'>,
  hint: ObjectArrival,
  run: RunFileId,
  object: ObjectDescription,
): Promise<void> {
  const reason = `the store now holds ${object.versionId ?? object.etag}`
  await inTransaction(context.database, (trx) =>
    closeHint(trx, hint, run, 'superseded', reason, context.now()),
  )
}

/** The store served the object. */
const READ: readonly string[] = ['catalogued', 'invalid', 'suspicious'] satisfies Outcome[]

interface Claimed {
  readonly hint: ObjectArrival
  readonly run: RunFileId
  readonly object: ObjectDescription
  readonly isHistory: boolean
  readonly lease: ArrivalLease
}

/** The recorded outcome, and the requests that were written with it and are still to be sent. */
interface RecordedArrival {
  readonly outcome: Outcome | 'check-again'
  readonly reason?: string
  readonly requests: readonly Request[]
}

async function extractAndRecord(
  context: Context<'database' | 's3'>,
  claimed: Claimed,
  signal: AbortSignal,
  log: Logger,
): Promise<RecordedArrival> {
  const { hint, run, object, isHistory, lease } = claimed
  const stillCurrent = async () => {
    const now = await describe(context, object, signal)
    if (now === null) return 'deleted'
    return now.etag === object.etag && now.versionId === object.versionId ? 'yes' : 'no'
  }
  const common = { lease, tag: run.tag, version: object, isHistory }
  try {
    const read = await extractAndCompare(context, object, run, signal)
    const priority = hint.source === 'reconcile' || hint.source === 'replay' ? 'backlog' : 'live'
    const options = {
      at: context.now(),
      recoMinimumEvents: context.config.reco.minimumEvents,
      stillCurrent,
    }
    const recorded = await recordFile(context.database, { ...common, ...read, priority }, options)
    if (recorded.kind !== 'recorded') return await notRecorded(context, lease, recorded, log)
    const { metadata } = read
    log.info(
      {
        run: recorded.run.runNumber,
        events: metadata.eventCount,
        sizeBytes: metadata.sizeBytes,
        complete: metadata.complete,
        problem: metadata.problem?.message,
        integrity: read.integrity,
        attempt: lease.attempt,
        requests: recorded.requests.map((request) => request.queue),
      },
      'run-catalogued',
    )
    return { outcome: 'catalogued', requests: recorded.requests }
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    const recorded = await recordInvalid(
      context.database,
      { ...common, runNumber: run.runNumber, reason: error.message },
      { at: context.now(), stillCurrent },
    )
    if (recorded.kind !== 'invalid') return await notRecorded(context, lease, recorded, log)
    log.warn({ run: run.runNumber, reason: error.message, attempt: lease.attempt }, 'run-invalid')
    return { outcome: 'invalid', reason: error.message, requests: recorded.requests }
  }
}

async function notRecorded(
  context: Context<'database'>,
  lease: ArrivalLease,
  found: NotRecorded,
  log: Logger,
): Promise<RecordedArrival> {
  if (found.kind === 'suspicious') {
    const { reason, requests } = found
    log.error({ reason, attempt: lease.attempt }, 'copy-suspicious')
    return { outcome: 'suspicious', reason, requests }
  }
  await endAttempt(context.database, lease, {
    state: 'done',
    outcome: 'superseded',
    reason: 'a newer version was in the store before this one was recorded',
  })
  return { outcome: 'check-again', requests: [] }
}

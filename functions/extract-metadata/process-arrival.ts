/** From "something arrived" to "the run stands in the catalogue": what the store holds now is read, once, and written down. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  claimArrival,
  claimNewArrival,
  closeArrival,
  endAttempt,
  findArrival,
  identityOf,
  type Lease,
  lookUpArrival,
  recordArrivals,
  rejectArrival,
  renewLease,
} from '../../shared/catalogue/arrivals.ts'
import { alertRequest } from '../../shared/catalogue/next-steps.ts'
import { addRequests, flushOutbox, type Request } from '../../shared/catalogue/outbox.ts'
import { recordFile, recordInvalid } from '../../shared/catalogue/record-file.ts'
import { findLiveFile } from '../../shared/catalogue/runs.ts'
import type { Arrival } from '../../shared/catalogue/schema.ts'
import { ConflictError, classify, InvalidInputError, TransientError } from '../../shared/errors.ts'
import { extractFile } from '../../shared/extraction/extract-file.ts'
import { compareDigests, furtherDigests, integrityOf } from '../../shared/extraction/integrity.ts'
import { likelyPartBytes } from '../../shared/extraction/multipart-etag.ts'
import type { Logger } from '../../shared/log.ts'
import type { ObjectArrival } from '../../shared/notifications/arrival.ts'
import { routeKey } from '../../shared/notifications/route-key.ts'
import type { RunKey } from '../../shared/notifications/run-key.ts'
import type { StorageContext } from '../../shared/runtime/context.ts'
import { describeObject, type ObjectDescription, readObject } from '../../shared/storage/objects.ts'

/** After this many tries an arrival is `failed`; the queue's maxReceiveCount in serverless.yml is the same number. */
export const MAX_ATTEMPTS = 6

/** A duplicate waits this long for the call that is at work before it goes back into the queue. */
const WAIT_FOR_OTHER_MS = 20_000
const WAIT_STEP_MS = 250

/** A key that is overwritten again and again while it is read is left to the newest version's own notification. */
const LOOKS = 3

export type Outcome = 'catalogued' | 'unchanged' | 'invalid' | 'gone' | 'ignored'

/**
 * Processes one arrival. Any number of calls, at once or repeated, have one outcome.
 * @throws ConflictError while another call works on the same object, TransientError when trying again may help.
 */
export async function processArrival(context: StorageContext, hint: ObjectArrival, signal: AbortSignal, log: Logger): Promise<Outcome> {
  const route = context.config.CYGNET_RAW_BUCKETS.includes(hint.bucket)
    ? routeKey(hint.key, context.config.CYGNET_IGNORED_PREFIXES)
    : ({ kind: 'ignored' } as const)
  if (route.kind === 'ignored') return 'ignored'
  if (route.kind === 'misnamed') return await rejectMisnamed(context, hint, route.reason, signal)
  for (let look = 0; look < LOOKS; look++) {
    const outcome = await processCurrentVersion(context, hint, route.run, signal, log)
    if (outcome !== 'look-again') return outcome
  }
  throw new TransientError(`${hint.key} changes faster than it can be read`)
}

async function processCurrentVersion(
  context: StorageContext,
  hint: ObjectArrival,
  run: RunKey,
  signal: AbortSignal,
  log: Logger,
): Promise<Outcome | 'look-again'> {
  const object = await describeObject(context.s3, hint, signal).catch(async (error) => {
    // What cannot be looked at now is at least known.
    await recordArrivals(context.database, [hint], context.now())
    throw error
  })
  if (object === null) return await reportGone(context, hint, run, signal)
  if (hint.etag !== object.etag || hint.versionId !== object.versionId) await supersedeHint(context, hint, object)
  const { CYGNET_LEASE_SECONDS: leaseSeconds } = context.config
  const owner = `${context.owner}-${randomUUID().slice(0, 8)}`
  const fresh = await claimNewArrival(context.database, hint, object, { owner, leaseSeconds, at: context.now() })
  const claim = fresh ?? (await claimKnown(context, object, { owner, leaseSeconds }, signal))
  if (typeof claim === 'string') return claim
  return await withLease(context, claim, signal, async (held) => {
    try {
      return await extractAndRecord(context, { hint, run, object, lease: claim }, held, log)
    } catch (error) {
      await giveBack(context, claim, object, run, error, signal)
      throw error
    }
  })
}

/** The notification was of another version than the store holds by now, or did not say of which. */
async function supersedeHint(context: StorageContext, hint: ObjectArrival, object: ObjectDescription): Promise<void> {
  await recordArrivals(context.database, [hint], context.now())
  await closeArrival(context.database, hint, 'superseded', `the store holds ${object.versionId ?? object.etag} by now`)
}

/** The lease on a version that the ledger knows; or, when there is nothing to do for us, the outcome. */
async function claimKnown(
  context: StorageContext,
  object: ObjectDescription,
  options: { readonly owner: string; readonly leaseSeconds: number },
  signal: AbortSignal,
): Promise<Lease | Outcome | 'look-again'> {
  const found = await lookUpArrival(context.database, object)
  if (found === null) throw new TransientError(`the ledger lost the arrival of ${object.key}`)
  const { arrival, live } = found
  const storedAgain = isStoredAgain(arrival, live?.etag ?? null, object)
  if ((arrival.state === 'done' || arrival.state === 'invalid') && !storedAgain) {
    // Killed between commit and sending, the last call left its requests behind.
    if (live !== null) await flushOutbox(context.database, context.queues, { runId: live.runId }, signal)
    return arrival.state === 'invalid' ? 'invalid' : 'unchanged'
  }
  const lease = await claimArrival(context.database, arrival, object, { ...options, reopen: storedAgain })
  return lease ?? (await waitForOther(context, object, signal))
}

/** The store holds a finished version again after it held another: the catalogue shows something else by now. */
function isStoredAgain(arrival: Arrival, liveEtag: string | null, object: ObjectDescription): boolean {
  if (arrival.state === 'done') return liveEtag !== object.etag
  if (arrival.state !== 'invalid') return false
  return (liveEtag !== null && liveEtag !== object.etag) || (arrival.last_modified?.getTime() ?? 0) < object.lastModified.getTime()
}

/** Another call holds the lease, on a duplicate of this message: its result is ours, unless it dies or takes longer than we wait. */
async function waitForOther(context: StorageContext, object: ObjectDescription, signal: AbortSignal): Promise<Outcome | 'look-again'> {
  for (let waitedMs = 0; waitedMs < WAIT_FOR_OTHER_MS; waitedMs += WAIT_STEP_MS) {
    await sleep(WAIT_STEP_MS, undefined, { signal })
    const arrival = await findArrival(context.database, object)
    if (arrival?.state === 'done') return 'unchanged'
    if (arrival?.state === 'invalid') return 'invalid'
    const leaseOver = (arrival?.lease_until?.getTime() ?? 0) < context.now().getTime()
    if (arrival?.state !== 'processing' || leaseOver) return 'look-again'
  }
  throw new ConflictError(`${object.key} is being worked on`)
}

interface Claimed {
  readonly hint: ObjectArrival
  readonly run: RunKey
  readonly object: ObjectDescription
  readonly lease: Lease
}

async function extractAndRecord(
  context: StorageContext,
  claimed: Claimed,
  signal: AbortSignal,
  log: Logger,
): Promise<Outcome | 'look-again'> {
  const { hint, run, object, lease } = claimed
  const stillCurrent = async () => {
    const now = await describeObject(context.s3, object, signal)
    // One that is gone meanwhile was still read whole: what it said is worth keeping.
    return now === null || (now.etag === object.etag && now.versionId === object.versionId)
  }
  const common = { lease, tag: run.tag, version: object }
  try {
    const read = await extractAndCompare(context, object, run, signal)
    const priority = hint.source === 'reconcile' || hint.source === 'replay' ? 'backlog' : 'live'
    const options = { at: context.now(), recoMinimumEvents: context.config.CYGNET_RECO_MINIMUM_EVENTS, stillCurrent }
    const recorded = await recordFile(context.database, { ...common, ...read, priority }, options)
    if (recorded.kind === 'superseded') return await superseded(context, lease)
    await send(context, recorded.requests, signal)
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
    return 'catalogued'
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    const requests = await recordInvalid(
      context.database,
      { ...common, runNumber: run.runNumber, reason: error.message },
      { at: context.now(), stillCurrent },
    )
    if (requests === 'superseded') return await superseded(context, lease)
    await send(context, requests, signal)
    log.warn({ run: run.runNumber, reason: error.message, attempt: lease.attempt }, 'run-invalid')
    return 'invalid'
  }
}

/** Reads the object once; a second time when a digest disagrees, since it may have been our reading that went wrong. */
async function extractAndCompare(context: StorageContext, object: ObjectDescription, run: RunKey, signal: AbortSignal) {
  const read = async () => {
    const metadata = await extractFile(
      { fileName: run.fileName, open: (opened) => readObject(context.s3, object, opened) },
      {
        igzip: context.config.CYGNET_IGZIP,
        maxEventBytes: context.config.CYGNET_MAX_EVENT_BYTES,
        digests: furtherDigests(object.stated),
        partBytes: likelyPartBytes(object.etag, object.sizeBytes),
        signal,
      },
    )
    const comparisons = compareDigests(object.stated, metadata.checksums)
    return { metadata, comparisons, integrity: integrityOf(comparisons) }
  }
  const first = await read()
  return first.integrity === 'mismatch' ? await read() : first
}

async function superseded(context: StorageContext, lease: Lease): Promise<'look-again'> {
  await endAttempt(context.database, lease, {
    state: 'done',
    outcome: 'superseded',
    reason: 'the store held a newer version before this one was written down',
  })
  return 'look-again'
}

const send = (context: StorageContext, requests: readonly Request[], signal: AbortSignal) =>
  flushOutbox(context.database, context.queues, { names: requests.map((request) => request.name) }, signal)

/** Keeps the lease alive while `work` runs; the signal it gets aborts when the lease is lost. */
async function withLease<T>(
  context: StorageContext,
  lease: Lease,
  signal: AbortSignal,
  work: (held: AbortSignal) => Promise<T>,
): Promise<T> {
  const lost = new AbortController()
  const { CYGNET_LEASE_SECONDS: leaseSeconds } = context.config
  const renewal = setInterval(
    () => {
      renewLease(context.database, lease, leaseSeconds).catch((error) => {
        if (error instanceof ConflictError) lost.abort(error)
        else context.log.warn({ error }, 'lease-not-renewed')
      })
    },
    (leaseSeconds * 1000) / 4,
  )
  try {
    return await work(AbortSignal.any([signal, lost.signal]))
  } finally {
    clearInterval(renewal)
  }
}

/** Writes down why a try failed and frees the object for the next; after the last one the arrival is failed, which is told. */
async function giveBack(
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
      const alert = alertRequest({
        rule: 'arrival-failed',
        severity: 'error',
        summary: `${object.key} could not be catalogued after ${lease.attempt} tries: ${error.message}`,
        tag: run.tag,
        runNumber: run.runNumber,
        runId: null,
        object,
        occurrence: `arrival/${lease.arrivalId}`,
      })
      await addRequests(context.database, [alert], context.now())
      await endAttempt(context.database, lease, { state: 'failed', reason: error.message })
      await send(context, [alert], signal)
    } else await endAttempt(context.database, lease, { state: 'received', reason: error.message })
  } catch (second) {
    // The lease runs out by itself; the first error is the one to report.
    context.log.warn({ error: second, key: object.key }, 'failure-not-written-down')
  }
}

async function rejectMisnamed(context: StorageContext, hint: ObjectArrival, reason: string, signal: AbortSignal): Promise<Outcome> {
  const alert = alertRequest({
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
  await addRequests(context.database, [alert], context.now())
  await send(context, [alert], signal)
  return 'invalid'
}

async function reportGone(context: StorageContext, hint: ObjectArrival, run: RunKey, signal: AbortSignal): Promise<Outcome> {
  const reason = 'the object was no longer in the bucket when it was looked at'
  await recordArrivals(context.database, [hint], context.now())
  await closeArrival(context.database, hint, 'gone', reason)
  if ((await findLiveFile(context.database, hint)) !== null) return 'gone'
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
  await addRequests(context.database, [alert], context.now())
  await send(context, [alert], signal)
  return 'gone'
}

/**
 * Compares the listing of a bucket with the ledger and announces the objects that are missing there, through
 * the same queue and handler as a live notification. Works page by page and saves its position in the
 * catalogue, so that it can resume after a crash.
 */
import { type KnownArrival, lookUpArrivals, MOST_ATTEMPTS, recordArrivals } from '../catalogue/arrivals.ts'
import type { Context } from '../context.ts'
import { differs } from '../database/clock.ts'
import { classify } from '../errors.ts'
import { withoutSecrets } from '../log.ts'
import { encodeNotification } from '../messages/runs.ts'
import { pastIgnored } from '../notifications/route-key.ts'
import type { ObjectVersion } from '../run.ts'
import { listObjects, type UndescribedEntry } from '../storage/objects.ts'
import { storeClockDifference } from '../storage/store-clock.ts'
import { reportClock } from '../work/clock-alert.ts'
import { raiseDaily, resolveRaised } from '../work/raised-alerts.ts'
import { sendRequests } from '../work/send-requests.ts'
import { alertAwaitedFiles } from './awaited-files.ts'
import { alertHeldTags, type HeldTag, type Missing, openGate } from './held-tags.ts'
import { summarizeHistory } from './history-summary.ts'
import { isCurrent } from './is-current.ts'
import { logUndescribed, mayBeRun } from './list-tag.ts'
import { takeLoggedRuns } from './logged-runs.ts'

export interface ReconcileOptions {
  readonly bucket: string
  readonly prefix: string
  /** Objects younger than this are skipped: their own notification may still come. Seconds. */
  readonly graceSeconds: number
  /** Continues where an earlier reconciliation of the prefix was interrupted, instead of at the first key. */
  readonly resume?: boolean
  readonly onProgress?: (progress: ReconcileProgress) => void
}

export interface ReconcileProgress {
  readonly listed: number
  /** Objects with a key like that of a run, whether in the ledger or not. */
  readonly runs: number
  readonly announced: number
  /** Objects like a run that the store listed and did not describe: they are unfinished arrivals in the ledger. */
  readonly undescribed: number
  /** Of those announced: older than the take-over time of their tag. */
  readonly history: number
  /** Tags of which old objects were not announced, because they have no take-over time. */
  readonly held: readonly HeldTag[]
  /** False when it was aborted between two pages: the next call can resume there. */
  readonly finished: boolean
}

export async function reconcile(
  context: Context<'database' | 'queues' | 's3'>,
  options: ReconcileOptions,
  signal: AbortSignal,
): Promise<ReconcileProgress> {
  // A Runlog that cannot be read must not prevent the comparison with the listing.
  await takeLoggedRuns(context)
    .then(() => alertAwaitedFiles(context, signal))
    .catch((error) => context.log.error({ error }, 'logged-runs-not-taken'))
  const clockMs = await checkStoreClock(context, options.bucket, signal)
  const unfinished = options.resume === true ? await findUnfinished(context, options) : undefined
  let startAfter = unfinished?.startAfter ?? null
  let progress: ReconcileProgress = {
    listed: 0,
    runs: 0,
    announced: 0,
    undescribed: 0,
    history: 0,
    held: [],
    finished: false,
  }
  const gate = openGate(context, options.bucket, clockMs)
  // The date of an unfinished row is that of the last progress: alertStalledListing needs it.
  if (unfinished === undefined) await saveProgress(context, options, null, progress, true)
  while (!signal.aborted) {
    const page = await listObjects(
      context.s3,
      { bucket: options.bucket, prefix: options.prefix, startAfter, isWanted: mayBeRun(context) },
      signal,
    )
    const { objects, undescribed } = page
    const missing = await missingOf(context, objects, options.graceSeconds)
    const { usual, history } = await gate.pass(missing, signal)
    await announce(context, usual, 'reconcile', signal)
    await announceHistory(context, history)
    await recordUndescribed(context, undescribed)
    startAfter = page.last === null ? null : pastIgnored(page.last, context.config.store.ignoredPrefixes)
    progress = {
      listed: progress.listed + page.keys.length,
      runs: progress.runs + objects.length + undescribed.length,
      announced: progress.announced + usual.length + history.length,
      undescribed: progress.undescribed + undescribed.length,
      history: progress.history + history.length,
      held: gate.held(),
      finished: startAfter === null,
    }
    const isFirstPage = progress.listed === page.keys.length
    await saveProgress(context, options, startAfter, progress, false)
    if (isFirstPage) await endStalled(context, options, signal)
    options.onProgress?.(progress)
    if (progress.finished) break
  }
  await alertHeldTags(context, progress.held, signal)
  if (progress.finished) await summarizeHistory(context, signal)
  return progress
}

const DATED_WRONGLY =
  'What it stored meanwhile has wrong dates: see in the runbook, "A clock is wrong", which runs became history by them'

/**
 * The store's clock dates the objects: its difference from the database's, ms. A store that does not answer fails
 * the listing.
 */
async function checkStoreClock(
  { s3, database, now, log }: Context<'database' | 's3'>,
  bucket: string,
  signal: AbortSignal,
): Promise<number> {
  const differenceMs = await storeClockDifference(s3, bucket, now, signal).catch(() => null)
  if (differenceMs === null) return 0
  if (differs(differenceMs))
    log.warn({ bucket, seconds: Math.round(differenceMs / 1000) }, 'store-clock-differs')
  await reportClock(database, `the store of ${bucket}`, differenceMs, now(), DATED_WRONGLY)
  return differenceMs
}

const DAY_MS = 86_400_000
/** Many calls of the schedule, so that no single fault raises an alert. */
const STALLED_AFTER_MS = 3_600_000
/** Time to send the alert when the function is being stopped. */
const ENDING_MS = 10_000

/** Objects announced in one statement and a few queue calls. */
const ANNOUNCED_AT_ONCE = 100

/**
 * Makes objects due in the ledger, and sends a message for each to the queue of the live notifications. The
 * rows are the work: that a message cannot be sent is only logged.
 */
export async function announce(
  context: Context<'database' | 'queues'>,
  objects: readonly ObjectVersion[],
  source: 'reconcile' | 'replay',
  signal: AbortSignal,
): Promise<void> {
  const parts: (readonly Announced[])[] = []
  for (let start = 0; start < objects.length; start += ANNOUNCED_AT_ONCE)
    parts.push(objects.slice(start, start + ANNOUNCED_AT_ONCE).map((object) => announcedAs(object, source)))
  for (const part of parts) await makeDue(context, part, source)
  try {
    for (const part of parts) {
      const messages = part.map((arrival) => encodeNotification([arrival]))
      await context.queues.send('runs', messages, signal)
    }
  } catch (error) {
    context.log.warn({ error }, 'announcements-not-sent')
  }
}

/**
 * Makes objects that are history due, without messages: in the queue, live runs would wait behind them. The
 * due arrivals of history are processed when no others are.
 */
async function announceHistory(
  context: Context<'database'>,
  objects: readonly ObjectVersion[],
): Promise<void> {
  for (let start = 0; start < objects.length; start += ANNOUNCED_AT_ONCE) {
    const part = objects.slice(start, start + ANNOUNCED_AT_ONCE)
    const arrivals = part.map((object) => announcedAs(object, 'reconcile'))
    await makeDue(context, arrivals, 'reconcile', true)
  }
}

/** Arrivals that are known are tried again by themselves. */
async function recordUndescribed(
  context: Context<'database'>,
  entries: readonly UndescribedEntry[],
): Promise<void> {
  logUndescribed(context, entries)
  const arrivals = entries.map((entry) => announcedAs({ ...entry, versionId: null }, 'reconcile'))
  await recordArrivals(context.database, arrivals, context.now())
}

type Announced = ReturnType<typeof announcedAs<ObjectVersion>>

const announcedAs = <T extends Pick<ObjectVersion, 'versionId' | 'lastModified'>>(
  object: T,
  source: 'reconcile' | 'replay',
) => ({
  ...object,
  sequencer: null,
  eventName: 'ObjectCreated:Put',
  eventTime: object.lastModified,
  source,
})

async function makeDue(
  context: Context<'database'>,
  arrivals: readonly Announced[],
  source: 'reconcile' | 'replay',
  isHistory = false,
): Promise<void> {
  const now = context.now()
  await recordArrivals(context.database, arrivals, now)
  await context.database
    .updateTable('arrivals')
    .set({ announcedAt: now, nextAttemptAt: now, source, isHistory })
    .where((where) =>
      where.or(
        arrivals.map(({ bucket, key, etag }) =>
          where.and([where('bucket', '=', bucket), where('objectKey', '=', key), where('etag', '=', etag)]),
        ),
      ),
    )
    .execute()
}

async function missingOf(
  context: Context<'database'>,
  objects: readonly ObjectVersion[],
  graceSeconds: number,
): Promise<readonly Missing[]> {
  const [first] = objects
  if (first === undefined) return []
  const arrivals = await lookUpArrivals(
    context.database,
    first.bucket,
    objects.map((object) => object.key),
  )
  const now = context.now().getTime()
  return objects.flatMap((object) => {
    if (isYoung(object, graceSeconds * 1000, now)) return []
    const known = arrivals.filter(
      ({ arrival }) => arrival.objectKey === object.key && arrival.etag === object.etag,
    )
    const isMissing = known.every((each) => needsAnnouncement(each, object, now))
    return isMissing ? [{ object, isKnown: known.length > 0 }] : []
  })
}

/** A date further ahead than the grace period is that of a store whose clock is ahead: the object's age is unknown. */
function isYoung({ lastModified }: ObjectVersion, graceMs: number, now: number): boolean {
  const ageMs = lastModified === null ? Number.POSITIVE_INFINITY : now - lastModified.getTime()
  return ageMs < graceMs && ageMs > -graceMs
}

/**
 * An unfinished arrival needs no announcement while the ledger itself makes it due. One without a next attempt
 * was closed (its object was missing, or its key ignored by an earlier configuration), or given up after its last
 * attempt: that one is tried once a day as long as the listing shows the object.
 */
function needsAnnouncement({ arrival, live }: KnownArrival, object: ObjectVersion, now: number): boolean {
  const { state, outcome, attempts, nextAttemptAt, announcedAt } = arrival
  if (state === 'done' || state === 'invalid') return !isCurrent(arrival, live, object)
  if (outcome === 'gone') return true
  if (nextAttemptAt !== null) return false
  return attempts < MOST_ATTEMPTS || announcedAt.getTime() < now - DAY_MS
}

/** Alerts, counted once a day, when the listing of a bucket has made no progress for an hour. */
export async function alertStalledListing(
  context: Context<'database' | 'queues'>,
  bucket: string,
  thrown: unknown,
): Promise<void> {
  const at = context.now()
  const stalled = await findUnfinished(context, { bucket, prefix: '' })
  if (stalled === undefined || at.getTime() - stalled.updatedAt.getTime() < STALLED_AFTER_MS) return
  const reason = withoutSecrets(classify(thrown).message)
  const since = stalled.updatedAt.toISOString()
  const summary = `the listing of ${bucket} has made no progress since ${since}: ${reason}`
  const found = {
    ...stalledListing(bucket),
    severity: 'error',
    summary,
    facts: { stalledSince: since },
  } as const
  const request = await raiseDaily(context.database, found, at)
  await sendRequests(context, [request], AbortSignal.timeout(ENDING_MS))
}

const stalledListing = (bucket: string) => ({ rule: 'listing-fails', subject: bucket, bucket }) as const

/** After the first page of a call: the next call does so if this one dies in between. */
async function endStalled(
  context: Context<'database' | 'queues'>,
  { bucket, prefix }: Pick<ReconcileOptions, 'bucket' | 'prefix'>,
  signal: AbortSignal,
): Promise<void> {
  if (prefix !== '') return
  const ended = [{ ...stalledListing(bucket), summary: `the listing of ${bucket} makes progress` }] as const
  await sendRequests(context, await resolveRaised(context.database, ended, context.now()), signal)
}

const findUnfinished = (
  context: Context<'database'>,
  { bucket, prefix }: Pick<ReconcileOptions, 'bucket' | 'prefix'>,
) =>
  context.database
    .selectFrom('reconciliations')
    .select(['startAfter', 'updatedAt'])
    .where('bucket', '=', bucket)
    .where('prefix', '=', prefix)
    .where('finishedAt', 'is', null)
    .executeTakeFirst()

async function saveProgress(
  context: Context<'database'>,
  options: ReconcileOptions,
  startAfter: string | null,
  progress: ReconcileProgress,
  beginning: boolean,
): Promise<void> {
  const now = context.now()
  const place = {
    startAfter,
    updatedAt: now,
    finishedAt: progress.finished ? now : null,
    listed: progress.listed,
    enqueued: progress.announced,
  }
  await context.database
    .insertInto('reconciliations')
    .values({ bucket: options.bucket, prefix: options.prefix, startedAt: now, ...place })
    .onDuplicateKeyUpdate(beginning ? { ...place, startedAt: now } : place)
    .execute()
}

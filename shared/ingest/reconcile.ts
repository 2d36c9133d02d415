/**
 * Compares the listing of a bucket with the ledger and announces the objects that are missing there, through
 * the same queue and handler as a live notification. Works page by page and saves its position in the
 * catalogue, so that it can resume after a crash.
 */
import { type KnownArrival, lookUpArrivals, MOST_ATTEMPTS, recordArrivals } from '../catalogue/arrivals.ts'
import type { Context } from '../context.ts'
import { encodeNotification } from '../messages/runs.ts'
import { pastIgnored, routeKey } from '../notifications/route-key.ts'
import type { ObjectVersion } from '../run.ts'
import { listObjects } from '../storage/objects.ts'
import { alertAwaitedFiles } from './awaited-files.ts'
import { isCurrent } from './is-current.ts'
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
  let startAfter = options.resume === true ? await resumePoint(context, options) : null
  let progress: ReconcileProgress = { listed: 0, runs: 0, announced: 0, finished: false }
  if (startAfter === null) await saveProgress(context, options, null, progress, true)
  while (!signal.aborted) {
    const page = await listObjects(
      context.s3,
      { bucket: options.bucket, prefix: options.prefix, startAfter },
      signal,
    )
    const runs = page.objects.filter(
      (object) => routeKey(object.key, context.config.store.ignoredPrefixes).kind !== 'ignored',
    )
    const missing = await missingOf(context, runs, options.graceSeconds)
    await announce(context, missing, 'reconcile', signal)
    startAfter = page.last === null ? null : pastIgnored(page.last, context.config.store.ignoredPrefixes)
    progress = {
      listed: progress.listed + page.objects.length,
      runs: progress.runs + runs.length,
      announced: progress.announced + missing.length,
      finished: startAfter === null,
    }
    await saveProgress(context, options, startAfter, progress, false)
    options.onProgress?.(progress)
    if (progress.finished) break
  }
  return progress
}

/** Objects announced in one statement and a few queue calls. */
const ANNOUNCED_AT_ONCE = 100

/** Makes objects due in the ledger, and sends a message for each to the queue of the live notifications. */
export async function announce(
  context: Context<'database' | 'queues'>,
  objects: readonly ObjectVersion[],
  source: 'reconcile' | 'replay',
  signal: AbortSignal,
): Promise<void> {
  for (let start = 0; start < objects.length; start += ANNOUNCED_AT_ONCE)
    await announcePart(context, objects.slice(start, start + ANNOUNCED_AT_ONCE), source, signal)
}

async function announcePart(
  context: Context<'database' | 'queues'>,
  objects: readonly ObjectVersion[],
  source: 'reconcile' | 'replay',
  signal: AbortSignal,
): Promise<void> {
  const now = context.now()
  const arrivals = objects.map((object) => ({
    ...object,
    sequencer: null,
    eventName: 'ObjectCreated:Put',
    eventTime: object.lastModified,
    source,
  }))
  await recordArrivals(context.database, arrivals, now)
  await context.database
    .updateTable('arrivals')
    .set({ announcedAt: now, nextAttemptAt: now, source })
    .where((where) =>
      where.or(
        objects.map((object) =>
          where.and([
            where('bucket', '=', object.bucket),
            where('objectKey', '=', object.key),
            where('etag', '=', object.etag),
          ]),
        ),
      ),
    )
    .execute()
  const messages = arrivals.map((arrival) => encodeNotification([arrival]))
  await context.queues.send('runs', messages, signal)
}

async function missingOf(
  context: Context<'database'>,
  objects: readonly ObjectVersion[],
  graceSeconds: number,
): Promise<readonly ObjectVersion[]> {
  const [first] = objects
  if (first === undefined) return []
  const arrivals = await lookUpArrivals(
    context.database,
    first.bucket,
    objects.map((object) => object.key),
  )
  const now = context.now().getTime()
  return objects.filter((object) => {
    if (object.lastModified.getTime() > now - graceSeconds * 1000) return false
    return arrivals
      .filter(({ arrival }) => arrival.objectKey === object.key && arrival.etag === object.etag)
      .every((known) => needsAnnouncement(known, object))
  })
}

/**
 * An unfinished arrival needs no announcement while the ledger itself makes it due. One without a next attempt
 * was closed (its object was missing, or its key ignored by an earlier configuration) or given up.
 */
function needsAnnouncement({ arrival, live }: KnownArrival, object: ObjectVersion): boolean {
  const { state, outcome, attempts, nextAttemptAt } = arrival
  if (state === 'done' || state === 'invalid') return !isCurrent(arrival, live, object)
  return outcome === 'gone' || (nextAttemptAt === null && attempts < MOST_ATTEMPTS)
}

async function resumePoint(context: Context<'database'>, options: ReconcileOptions): Promise<string | null> {
  const row = await context.database
    .selectFrom('reconciliations')
    .select('startAfter')
    .where('bucket', '=', options.bucket)
    .where('prefix', '=', options.prefix)
    .where('finishedAt', 'is', null)
    .executeTakeFirst()
  return row?.startAfter ?? null
}

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

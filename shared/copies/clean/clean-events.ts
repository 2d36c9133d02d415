/**
 * The buffer of single events: events that were seen are deleted soon, the others at an age. Ages are counted
 * from the store's dates, not from the times in the names. An object that is not named like an event is kept.
 */
import type { Config } from '../../config/config.ts'
import type { Context } from '../../context.ts'
import { type Database, inTransaction } from '../../database/connect.ts'
import { classify, InvalidInputError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { isTag, type ObjectName, type ObjectVersion } from '../../run.ts'
import { deleteObject } from '../../storage/delete-object.ts'
import { listObjects } from '../../storage/objects.ts'
import { latestDate, storeClockDifference } from '../../storage/store-clock.ts'
import { type CleanablePrefix, protectingPrefix, refuseUncleanable } from '../delete/protected.ts'

const PREFIX: CleanablePrefix = 'EVENTS/'

export interface EventKey {
  readonly tag: string
  /** Of the event's header, Unix seconds. */
  readonly timestamp: number
  readonly serialNumber: number
}

/** Both numbers have 32 bits in the header of an event. */
const LARGEST_NUMBER = 0xffffffff

/**
 * `EVENTS/<TAG>_<unix-timestamp>_<serial>.dat`, read from the right: a tag may contain `_`. Null for anything
 * else.
 */
export function parseEventKey(key: string): EventKey | null {
  const { tag, time, serial } =
    /^EVENTS\/(?<tag>.+)_(?<time>\d{1,10})_(?<serial>\d{1,10})\.dat$/.exec(key)?.groups ?? {}
  if (tag === undefined || !isTag(tag) || Number(time) > LARGEST_NUMBER || Number(serial) > LARGEST_NUMBER)
    return null
  return { tag, timestamp: Number(time), serialNumber: Number(serial) }
}

/**
 * Notes that an event was seen, so that it is deleted early. The first time counts; another object under the
 * same key starts a new count.
 * @throws InvalidInputError when the key is not that of an event.
 */
export async function markEventSeen(
  database: Database,
  object: ObjectName,
  etag: string,
  at: Date,
): Promise<void> {
  if (parseEventKey(object.key) === null)
    throw new InvalidInputError(`${object.key} is not named like an event`)
  const row = { bucket: object.bucket, objectKey: object.key, etag, seenAt: at }
  await inTransaction(database, async (trx) => {
    await trx.insertInto('seenEvents').ignore().values(row).execute()
    await trx
      .updateTable('seenEvents')
      .set({ etag, seenAt: at })
      .where('bucket', '=', object.bucket)
      .where('objectKey', '=', object.key)
      .where('etag', '!=', etag)
      .execute()
  })
}

export interface CleanEventsOptions {
  readonly dryRun: boolean
  readonly tag?: string | undefined
  readonly now: Date
}

export interface CleanedEvents {
  readonly listed: number
  /** In a dry run: those that would be deleted. */
  readonly deleted: number
  readonly deletedBytes: number
  /** Below the prefix and not named like events: they are kept. */
  readonly unrecognised: number
  /** Replaced between the listing and the deletion: they are kept. */
  readonly changed: number
  readonly failed: number
  /** False when it was interrupted; the next run starts again at the first key. */
  readonly finished: boolean
}

const NOTHING: CleanedEvents = {
  listed: 0,
  deleted: 0,
  deletedBytes: 0,
  unrecognised: 0,
  changed: 0,
  failed: 0,
  finished: true,
}

/** One request for each object: DeleteObjects takes a thousand, and on most stores without a condition. */
const AT_ONCE = 16
/** After so many failures without a success the cause is the store, not the objects. */
const MOST_FAILURES = 64

/**
 * Cleans the buffer of every raw bucket, page by page. A failing object or bucket does not stop the others.
 * @throws the error of a bucket in which nothing more could be done.
 */
export async function cleanEvents(
  context: Context<'database' | 's3'>,
  options: CleanEventsOptions,
  signal: AbortSignal,
  log: Logger,
): Promise<CleanedEvents> {
  let total = NOTHING
  const failures: unknown[] = []
  for (const bucket of context.config.store.rawBuckets) {
    const protecting = protectingPrefix({ bucket, key: PREFIX }, context.config.store.protectedPrefixes)
    if (protecting !== null) {
      log.warn({ bucket, protecting }, 'events-protected')
      continue
    }
    try {
      total = addCounts(total, await cleanBucket(context, bucket, options, signal, log))
    } catch (error) {
      failures.push(error)
      log.error({ bucket, error: classify(error) }, 'bucket-not-cleaned')
    }
  }
  if (failures.length > 0) throw failures[0]
  return total
}

async function cleanBucket(
  context: Context<'database' | 's3'>,
  bucket: string,
  options: CleanEventsOptions,
  signal: AbortSignal,
  log: Logger,
): Promise<CleanedEvents> {
  const prefix = options.tag === undefined ? PREFIX : `${PREFIX}${options.tag}_`
  // A store that does not answer fails the listing.
  const clockMs = await storeClockDifference(context.s3, bucket, context.now, signal).catch(() => 0)
  let total = NOTHING
  let startAfter: string | null = null
  do {
    if (signal.aborted) return { ...total, finished: false }
    const listedAt = context.now()
    const page: Awaited<ReturnType<typeof listObjects>> = await listObjects(
      context.s3,
      { bucket, prefix, startAfter },
      signal,
    )
    const seen = await seenTimes(context.database, bucket, page.objects)
    const due = page.objects.filter((object) =>
      isDue(
        { ...object, lastModified: latestDate(object.lastModified, clockMs) },
        seen.get(object.key) ?? null,
        options,
        context.config,
      ),
    )
    const unrecognised = page.keys.filter((key) => parseEventKey(key) === null).length
    const { deleted, ...counts } = options.dryRun
      ? { deleted: due, changed: 0, failed: 0 }
      : await deleteAll(context, due, signal, log)
    const deletedBytes = deleted.reduce((sum, object) => sum + object.sizeBytes, 0)
    for (const { key, error } of page.undescribed)
      log.warn({ key, error: classify(error) }, 'event-not-deleted')
    total = addCounts(total, {
      ...NOTHING,
      ...counts,
      deleted: deleted.length,
      deletedBytes,
      failed: counts.failed + page.undescribed.length,
      listed: page.keys.length,
      unrecognised,
      finished: !signal.aborted,
    })
    const range = { after: startAfter ?? prefix, upTo: page.last ?? `${prefix}\u{10FFFF}`, listedAt }
    if (!options.dryRun) await deleteStaleSeen(context.database, bucket, without(page.keys, deleted), range)
    startAfter = page.last
  } while (startAfter !== null)
  return total
}

const addCounts = (a: CleanedEvents, b: CleanedEvents): CleanedEvents => ({
  listed: a.listed + b.listed,
  deleted: a.deleted + b.deleted,
  deletedBytes: a.deletedBytes + b.deletedBytes,
  unrecognised: a.unrecognised + b.unrecognised,
  changed: a.changed + b.changed,
  failed: a.failed + b.failed,
  finished: a.finished && b.finished,
})

/** The age of a seen event counts from when it was seen; another object that now has its key is unseen. */
function isDue(
  object: ObjectVersion,
  seen: Seen | null,
  { tag, now }: CleanEventsOptions,
  config: Config,
): boolean {
  const event = parseEventKey(object.key)
  if (event === null || (tag !== undefined && event.tag !== tag)) return false
  const past = (time: Date, seconds: number) => time.getTime() + seconds * 1000 <= now.getTime()
  if (seen !== null && seen.etag === object.etag) return past(seen.seenAt, config.clean.eventsSeenSeconds)
  // An object of unknown age may be young.
  if (object.lastModified === null) return false
  return past(
    object.lastModified,
    config.clean.eventsUnseenSecondsByTag[event.tag] ?? config.clean.eventsUnseenSeconds,
  )
}

interface Seen {
  readonly etag: string
  readonly seenAt: Date
}

async function seenTimes(
  database: Database,
  bucket: string,
  objects: readonly ObjectVersion[],
): Promise<ReadonlyMap<string, Seen>> {
  if (objects.length === 0) return new Map()
  const keys = objects.map((object) => object.key)
  const rows = await database
    .selectFrom('seenEvents')
    .select(['objectKey', 'etag', 'seenAt'])
    .where('bucket', '=', bucket)
    .where('objectKey', 'in', keys)
    .execute()
  return new Map(rows.map((row) => [row.objectKey, row]))
}

interface Outcome {
  readonly deleted: readonly ObjectVersion[]
  readonly changed: number
  readonly failed: number
}

async function deleteAll(
  context: Context<'s3'>,
  due: readonly ObjectVersion[],
  signal: AbortSignal,
  log: Logger,
): Promise<Outcome> {
  const deleted: ObjectVersion[] = []
  const counts = { changed: 0, failed: 0 }
  const queue = due.values()
  const work = async () => {
    for (const object of queue) {
      if (signal.aborted) return
      try {
        refuseUncleanable(object, context.config.store.protectedPrefixes)
        const deletion = await deleteObject(context.s3, object, signal)
        if (deletion.kind === 'changed') counts.changed += 1
        else deleted.push(object)
      } catch (error) {
        if (signal.aborted) return
        counts.failed += 1
        log.warn({ key: object.key, error: classify(error) }, 'event-not-deleted')
        if (deleted.length === 0 && counts.failed >= MOST_FAILURES) throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, work))
  const failure = ends.find((end) => end.status === 'rejected')
  if (failure !== undefined) throw failure.reason
  return { deleted, ...counts }
}

/** An event seen while the listing was made may be of an object that is not listed yet. */
const LISTING_MARGIN_MS = 60_000

const without = (listed: readonly string[], removed: readonly ObjectVersion[]) => {
  const keys = new Set(removed.map((object) => object.key))
  return listed.filter((key) => !keys.has(key))
}

/** Deletes the notes on objects between the page's first and last key that no longer exist. */
async function deleteStaleSeen(
  database: Database,
  bucket: string,
  keys: readonly string[],
  range: { readonly after: string; readonly upTo: string; readonly listedAt: Date },
): Promise<void> {
  await database
    .deleteFrom('seenEvents')
    .where('bucket', '=', bucket)
    .where('objectKey', '>', range.after)
    .where('objectKey', '<=', range.upTo)
    .where('seenAt', '<', new Date(range.listedAt.getTime() - LISTING_MARGIN_MS))
    .$if(keys.length > 0, (query) => query.where('objectKey', 'not in', keys))
    .execute()
}

/** Follows one notification of each rule of a bucket from the store to the functions, with a small test object. */
import { randomUUID } from 'node:crypto'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { findNotificationTest, startNotificationTest } from '../../shared/catalogue/notification-tests.ts'
import type { Context } from '../../shared/context.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { testIdOf, testObjectKey } from '../../shared/notifications/test-object.ts'
import { type NotificationRule, readBucketNotifications } from '../../shared/storage/bucket-notifications.ts'
import { describeTarget } from '../../shared/storage/ceph.ts'
import { deleteObject } from '../../shared/storage/delete-object.ts'
import { describeObject, listObjects } from '../../shared/storage/objects.ts'
import { pause } from '../../shared/time/pause.ts'

export interface Followed {
  readonly rule: NotificationRule
  readonly key: string
  /** Seconds after the PUT at which receive-notification had it; null: it did not, or the store sends to the queue. */
  readonly receivedSeconds: number | null
  /** Seconds after the PUT at which extract-metadata had it from the queue; null: not in time. */
  readonly processedSeconds: number | null
  /** What to inspect; null when the notification arrived. */
  readonly advice: string | null
}

const POLL_MS = 250
/** In ASCII. */
const CONTENT = 'a test of notifications by Cygnet'
/** Longer than a test may take, and than clocks differ. */
const LONGEST_TEST_MS = 2 * 3_600_000

/**
 * Stores a test object for each of our rules, waits until its notification was processed, and deletes it.
 * @throws InvalidInputError when the bucket has none of our rules, or its objects are ignored.
 */
export async function followNotifications(
  context: Context<'database' | 's3'>,
  { bucket, seconds }: { readonly bucket: string; readonly seconds: number },
  signal: AbortSignal,
): Promise<readonly Followed[]> {
  if (!context.config.store.rawBuckets.includes(bucket))
    throw new InvalidInputError(`objects of ${bucket} are ignored: it is not in CYGNET_RAW_BUCKETS`)
  const rules = (await readBucketNotifications(context.s3, bucket, signal)).filter(({ ours }) => ours)
  if (rules.length === 0)
    throw new InvalidInputError(
      `bucket ${bucket} has no notifications of ours: see "cygnet notifications apply"`,
    )
  return await Promise.all(rules.map((rule) => follow(context, { bucket, rule, seconds }, signal)))
}

async function follow(
  context: Context<'database' | 's3'>,
  {
    bucket,
    rule,
    seconds,
  }: { readonly bucket: string; readonly rule: NotificationRule; readonly seconds: number },
  signal: AbortSignal,
): Promise<Followed> {
  const { database, s3 } = context
  const id = randomUUID()
  const key = testObjectKey(id, rule)
  const startedAt = context.now()
  await removeLeftBehind(context, { bucket, rule }, signal)
  await startNotificationTest(database, id, startedAt)
  const end = performance.now() + seconds * 1000
  const secondsTo = (at: Date | null | undefined) =>
    at instanceof Date ? Math.max(0, at.getTime() - startedAt.getTime()) / 1000 : null
  try {
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: CONTENT }), { abortSignal: signal })
    let test = await findNotificationTest(database, id)
    while (test?.processedAt === null && performance.now() < end && !signal.aborted) {
      await pause(POLL_MS, signal)
      test = await findNotificationTest(database, id)
    }
    signal.throwIfAborted()
    const receivedSeconds = secondsTo(test?.receivedAt)
    const processedSeconds = secondsTo(test?.processedAt)
    const advice =
      processedSeconds === null ? await adviceFor(context, rule, receivedSeconds !== null, signal) : null
    return { rule, key, receivedSeconds, processedSeconds, advice }
  } finally {
    const stored = await describeObject(s3, { bucket, key }, AbortSignal.timeout(10_000))
    if (stored !== null) await deleteObject(s3, stored, AbortSignal.timeout(10_000))
  }
}

/** Removes the test objects of processes that were killed: nothing else would. Only what this file has stored. */
async function removeLeftBehind(
  { s3, now }: Context<'s3'>,
  { bucket, rule }: { readonly bucket: string; readonly rule: NotificationRule },
  signal: AbortSignal,
): Promise<void> {
  const before = new Date(now().getTime() - LONGEST_TEST_MS)
  const isOurs = (key: string) => key === testObjectKey(testIdOf(key) ?? '', rule)
  const prefix = testObjectKey('', { ...rule, suffix: '' })
  const { objects } = await listObjects(s3, { bucket, prefix, startAfter: null, isWanted: isOurs }, signal)
  for (const object of objects)
    if (object.sizeBytes === CONTENT.length && object.lastModified !== null && object.lastModified < before)
      await deleteObject(s3, object, signal)
}

async function adviceFor(
  { s3, config }: Context<'s3'>,
  rule: NotificationRule,
  isReceived: boolean,
  signal: AbortSignal,
): Promise<string> {
  if (isReceived) return 'it is in the queue "runs": does extract-metadata run? See "cygnet dead ls"'
  const target = await describeTarget(s3, rule, config.ingest.notificationToken, signal)
  if (target?.problem) return `the rule sends to ${target.endpoint}; ${target.problem}`
  const where = target === null ? rule.arn : `${target.endpoint} (${rule.arn})`
  return `the rule sends to ${where}: is that ours, and does "cygnet logs --function receive-notification" show refusals? A persistent topic of Ceph may need half a minute`
}

/**
 * Take-over times of tags. An object that the store has had since before the take-over time of its tag is
 * history: it is catalogued after all others, and nothing else follows from it until it is adopted (ADR 19).
 */
import { type SqlBool, sql, type Transaction } from 'kysely'
import { type Database, type Executor, inTransaction } from '../database/connect.ts'
import type { Run, Schema } from '../database/schema.ts'
import type { ObjectArrival } from '../notifications/arrival.ts'
import { folderOf, type ObjectName, parseRunKey } from '../run.ts'
import { raisedOf, resolveRaised } from '../work/raised-alerts.ts'
import { findArrival } from './arrivals.ts'

/** The row for every tag without one of its own. */
export const OTHER_TAGS = '*'

/** The take-over time that makes no object history: all of a tag's history is adopted. */
export const FROM_THE_BEGINNING = new Date(0)

export interface TakeOver {
  readonly tag: string
  readonly since: Date
  readonly setAt: Date
}

export const listTakeOvers = async (executor: Executor): Promise<readonly TakeOver[]> =>
  await executor.selectFrom('takeOvers').selectAll().orderBy('tag').execute()

/** The take-over time of each tag, null for a tag that has none. */
export async function takeOverTimes(executor: Executor): Promise<(tag: string) => Date | null> {
  const times = new Map((await listTakeOvers(executor)).map(({ tag, since }) => [tag, since]))
  return (tag) => times.get(tag) ?? times.get(OTHER_TAGS) ?? null
}

/**
 * Sets the time in whole seconds, since some stores state no fractions of the times of their objects. Nothing waits
 * for it any more.
 * `keep`: a time that was set before is left as it is.
 */
export async function setTakeOver(
  database: Database,
  tag: string,
  since: Date,
  options: { readonly at: Date; readonly keep?: boolean },
): Promise<void> {
  const value = { since: new Date(Math.floor(since.getTime() / 1000) * 1000), setAt: options.at }
  await inTransaction(database, async (trx) => {
    await trx
      .insertInto('takeOvers')
      .values({ tag, ...value })
      .onDuplicateKeyUpdate(options.keep === true ? { tag } : value)
      .execute()
    const waiting = await raisedOf(trx, 'tag-not-adopted')
    const ended = waiting
      .filter((held) => tag === OTHER_TAGS || held.tag === tag)
      .map((held) => ({ rule: 'tag-not-adopted', ...held, summary: 'it has a take-over time' }) as const)
    await resolveRaised(trx, ended, options.at)
  })
}

/**
 * Whether something of a tag is history. `at`: the time since which the store has had the object, or the begin
 * of a run without a file; null if unknown. A replay is never history: a person requested it.
 */
export async function isOlderThanTakeOver(
  executor: Executor,
  { tag, at, source }: { readonly tag: string; readonly at: Date | null; readonly source?: string },
): Promise<boolean> {
  if (at === null || source === 'replay') return false
  const since = await takeOverOf(executor, tag)
  return since !== null && isBefore(at, since)
}

async function takeOverOf(executor: Executor, tag: string): Promise<Date | null> {
  const row = await executor
    .selectFrom('takeOvers')
    .select('since')
    .where('tag', 'in', [tag, OTHER_TAGS])
    .orderBy((order) => order.eb('tag', '=', OTHER_TAGS))
    .limit(1)
    .executeTakeFirst()
  return row?.since ?? null
}

/**
 * Whether an object is history: older than the take-over time of its tag by the store's date, and nothing else
 * that is known shows that it is new. The date alone does not decide, since the store's clock may have been years
 * behind.
 * @param at the time since which the store has had it; null if unknown.
 * @param now the database's time.
 */
export async function isHistory(
  executor: Executor,
  hint: ObjectArrival,
  at: Date | null,
  now: Date,
): Promise<boolean> {
  const tag = folderOf(hint.key)
  if (!(await isOlderThanTakeOver(executor, { tag, at, source: hint.source }))) return false
  const since = (await takeOverOf(executor, tag)) ?? now
  if (hint.source !== 'reconcile') {
    const notifiedAt = (await findArrival(executor, hint))?.receivedAt ?? now
    if (notifiedAt >= since) return false
  }
  return !(await alreadyNew(executor, [hint], () => since)).has(hint)
}

/**
 * Those objects whose key, or the run that it names, has or had a file that is not history. A later take-over
 * time leaves them new: copies and reconstructions were requested, and damage must be alerted. Also those whose
 * run began after the take-over time, by the Runlog or another file of it.
 * @param sinceOf the take-over time of each tag.
 */
export async function alreadyNew<T extends ObjectName>(
  executor: Executor,
  objects: readonly T[],
  sinceOf: (tag: string) => Date | null,
): Promise<ReadonlySet<T>> {
  if (objects.length === 0) return new Set()
  const files = await executor
    .selectFrom('runFiles')
    .select(['bucket', 'objectKey'])
    .where('bucket', 'in', [...new Set(objects.map(({ bucket }) => bucket))])
    .where(
      'objectKey',
      'in',
      objects.map(({ key }) => key),
    )
    .where('isHistory', '=', false)
    .execute()
  const names = new Set(files.map(({ bucket, objectKey }) => `${bucket}/${objectKey}`))
  const runs = new Set<string>()
  const named = objects.map(({ key }) => parseRunKey(key)).filter((run) => run !== null)
  for (const [tag, ofTag] of Map.groupBy(named, (run) => run.tag)) {
    const since = sinceOf(tag)
    const found = await executor
      .selectFrom('runs')
      .leftJoin('runFiles', (join) =>
        join.onRef('runFiles.runId', '=', 'runs.id').on('runFiles.isHistory', '=', false),
      )
      .select('runs.runNumber')
      .distinct()
      .where('runs.tag', '=', tag)
      .where(
        'runs.runNumber',
        'in',
        ofTag.map(({ runNumber }) => runNumber),
      )
      .where((where) =>
        where.or([
          where('runFiles.id', 'is not', null),
          ...(since === null ? [] : [where('runs.startedEpoch', '>=', Math.max(1, epochOf(since)))]),
        ]),
      )
      .execute()
    for (const { runNumber } of found) runs.add(`${tag}/${runNumber}`)
  }
  return new Set(
    objects.filter((object) => {
      const run = parseRunKey(object.key)
      return (
        names.has(`${object.bucket}/${object.key}`) ||
        (run !== null && runs.has(`${run.tag}/${run.runNumber}`))
      )
    }),
  )
}

const epochOf = (at: Date) => Math.floor(at.getTime() / 1000)

/** False if either time is unknown. */
async function beganSinceTakeOver(
  executor: Executor,
  { tag, startedEpoch }: Pick<Run, 'tag' | 'startedEpoch'>,
): Promise<boolean> {
  const since = await takeOverOf(executor, tag)
  return since !== null && startedEpoch >= Math.max(1, epochOf(since))
}

/**
 * A run with one new file is new as a whole, and so is one that began after the take-over time, whatever date the
 * store states: then the marks of its files and of their arrivals are cleared.
 * @returns whether the run is history, and how many files have been released.
 */
export async function settleHistory(
  trx: Transaction<Schema>,
  run: Pick<Run, 'id' | 'tag' | 'startedEpoch'>,
): Promise<{ readonly isHistory: boolean; readonly released: number }> {
  const files = await trx
    .selectFrom('runFiles')
    .select(['id', 'bucket', 'objectKey', 'isHistory'])
    .where('runId', '=', run.id)
    .execute()
  const history = files.filter((file) => file.isHistory)
  if (history.length === files.length && !(await beganSinceTakeOver(trx, run)))
    return { isHistory: true, released: 0 }
  await releaseFiles(trx, history)
  return { isHistory: false, released: history.length }
}

/** Clears the marks of files and of the arrivals under their keys. */
export async function releaseFiles(
  trx: Transaction<Schema>,
  files: readonly { readonly id: number; readonly bucket: string; readonly objectKey: string }[],
): Promise<void> {
  if (files.length === 0) return
  const ids = files.map(({ id }) => id)
  await trx.updateTable('runFiles').set({ isHistory: false }).where('id', 'in', ids).execute()
  for (const [bucket, ofBucket] of Map.groupBy(files, (file) => file.bucket))
    await trx
      .updateTable('arrivals')
      .set({ isHistory: false })
      .where('bucket', '=', bucket)
      .where(
        'objectKey',
        'in',
        ofBucket.map(({ objectKey }) => objectKey),
      )
      .execute()
}

/** False for an unknown time (1970 in some notifications): then the object may be new. */
export const isBefore = (at: Date | null, since: Date): boolean =>
  at !== null && at.getTime() > 0 && at < since

/** What became of the history of a tag. */
export interface HistoryOfTag {
  readonly tag: string
  readonly objects: number
  /** Not read yet. */
  readonly waiting: number
  readonly invalid: number
  /** Could not be read after six attempts; tried again from time to time. */
  readonly failed: number
}

const KEY = sql.ref('objectKey')
const TAG = sql<string>`IF(LOCATE('/', ${KEY}) = 0, '', LEFT(${KEY}, CHAR_LENGTH(${KEY}) - LOCATE('/', REVERSE(${KEY}))))`
const countOf = (condition: ReturnType<typeof sql<SqlBool>>) => sql<number>`SUM(${condition})`

const RELEASED_AT_ONCE = 10_000

/**
 * Clears the marks of arrivals that are not older than the take-over time of their tag any more and have no
 * catalogued file: those that wait, and those that could not be read.
 */
export async function releaseArrivals(database: Database, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { numUpdatedRows } = await database
      .updateTable('arrivals')
      .set({ isHistory: false })
      .where('isHistory', '=', true)
      .where('state', 'in', ['received', 'processing', 'invalid', 'failed'])
      .where(
        sql<Date>`COALESCE(last_modified, event_time)`,
        '>=',
        sql<Date>`COALESCE((SELECT own.since FROM take_overs own WHERE own.tag = ${TAG}),
          (SELECT others.since FROM take_overs others WHERE others.tag = ${OTHER_TAGS}))`,
      )
      .limit(RELEASED_AT_ONCE)
      .executeTakeFirstOrThrow()
    if (numUpdatedRows < RELEASED_AT_ONCE) return
  }
}

/** By tag; '' for keys without a tag. Reads every row of history: seconds for a million. */
export async function historyByTag(database: Database): Promise<readonly HistoryOfTag[]> {
  const rows = await database
    .selectFrom('arrivals')
    .select([
      TAG.as('tag'),
      sql<number>`COUNT(*)`.as('objects'),
      countOf(sql`state IN ('received', 'processing')`).as('waiting'),
      countOf(sql`state = 'invalid'`).as('invalid'),
      countOf(sql`state = 'failed'`).as('failed'),
    ])
    .where('isHistory', '=', true)
    .groupBy('tag')
    .orderBy('tag')
    .execute()
  return rows.map(({ tag, objects, waiting, invalid, failed }) => ({
    tag,
    objects: Number(objects),
    waiting: Number(waiting),
    invalid: Number(invalid),
    failed: Number(failed),
  }))
}

/**
 * How long the work of each queue has been waiting: from the rows in the catalogue, since a queue does not
 * report it.
 */
import { sql } from 'kysely'
import { RECALL } from '../catalogue/recalls.ts'
import { TAPE_COPY } from '../catalogue/replicas.ts'
import type { Database } from '../database/connect.ts'
import type { QueueName } from '../queue/queues.ts'

/**
 * How long the oldest unfinished work has waited: for `runs` the oldest arrival, for copies and recalls the task
 * that has been due for longest, for all queues an unsent request.
 */
export async function oldestWork(database: Database): Promise<ReadonlyMap<QueueName, Date>> {
  const [arrival, tape, recall, unsent] = await Promise.all([
    oldestArrival(database),
    oldestTask(database, TAPE_COPY),
    oldestTask(database, RECALL),
    unsentRequests(database),
  ])
  const known: readonly (readonly [QueueName, Date | null])[] = [
    ['runs', arrival],
    ['tape-requests', tape],
    ['recall-requests', recall],
    ...unsent.map(({ queue, at }) => [queue as QueueName, at] as const),
  ]
  const oldest = new Map<QueueName, Date>()
  for (const [queue, at] of known)
    if (at !== null && at < (oldest.get(queue) ?? new Date(8.64e15))) oldest.set(queue, at)
  return oldest
}

async function oldestArrival(database: Database): Promise<Date | null> {
  const row = await database
    .selectFrom('arrivals')
    .select((select) => select.fn.min('receivedAt').as('at'))
    .where('state', 'in', ['received', 'processing'])
    .where('isHistory', '=', false)
    .executeTakeFirst()
  return row?.at ?? null
}

/** Files that failed to be catalogued, and are not gone. Without history. */
export interface FailingArrivals {
  readonly files: number
  /** When the first of them arrived. */
  readonly since: Date
  /** Of the first that is due; null when all wait for the listing, which announces each once a day. */
  readonly nextAttemptAt: Date | null
  /** Of one of them. */
  readonly lastError: string | null
}

/** @returns null when there are none. */
export async function failingArrivals(database: Database): Promise<FailingArrivals | null> {
  const { since, nextAttemptAt, files, lastError } = await database
    .selectFrom('arrivals')
    .select(({ fn }) => [
      fn.countAll<number>().as('files'),
      fn.min<Date | null>('receivedAt').as('since'),
      fn.min<Date | null>('nextAttemptAt').as('nextAttemptAt'),
      fn.max('reason').as('lastError'),
    ])
    .where('state', '=', 'failed')
    .where('isHistory', '=', false)
    .where('outcome', 'is', null)
    .executeTakeFirstOrThrow()
  return since === null ? null : { files: Number(files), since, nextAttemptAt, lastError }
}

/** Not those that wait for their next attempt. */
async function oldestTask(database: Database, kind: string): Promise<Date | null> {
  const row = await database
    .selectFrom('tasks')
    .select((select) => select.fn.min('nextAttemptAt').as('at'))
    .where('kind', '=', kind)
    .where('state', 'in', ['waiting', 'running'])
    .where('nextAttemptAt', '<=', sql<Date>`UTC_TIMESTAMP(3)`)
    .executeTakeFirst()
  return row?.at ?? null
}

const unsentRequests = (database: Database) =>
  database
    .selectFrom('outbox')
    .select(['queue', (select) => select.fn.min('createdAt').as('at')])
    .where('sentAt', 'is', null)
    .groupBy('queue')
    .execute()

/** The outbox is ordered only by id: only this many of the latest rows are searched. */
const SEARCHED_ROWS = 20_000

/**
 * A lower limit for the age of the oldest of this many messages of each queue. The messages are assumed to be
 * those sent last: if one of these had been processed already, an older one would be among the remaining
 * ones. Messages not sent through the outbox are not covered.
 */
export async function oldestMessages(
  database: Database,
  messages: ReadonlyMap<QueueName, number>,
): Promise<ReadonlyMap<QueueName, Date>> {
  const found = await Promise.all(
    [...messages].map(async ([queue, count]) => {
      if (count <= 0) return []
      const { at } = await database
        .selectFrom((last) =>
          last
            .selectFrom('outbox')
            .select('sentAt')
            .where(
              'id',
              '>',
              sql<number>`(SELECT CAST(COALESCE(MAX(id), 0) AS SIGNED) - ${SEARCHED_ROWS} FROM outbox)`,
            )
            .where('queue', '=', queue)
            .where('sentAt', 'is not', null)
            .orderBy('id', 'desc')
            .limit(count)
            .as('last'),
        )
        .select((select) => select.fn.min<Date | null>('sentAt').as('at'))
        .executeTakeFirstOrThrow()
      return at === null ? [] : [[queue, at] as const]
    }),
  )
  return new Map(found.flat())
}

/**
 * The outbox: requests to other functions are rows, written in the transaction that causes them, sent after
 * its commit and marked as sent. After a crash in between they are unsent, and track-arrivals sends them
 * within a minute: each request is sent at least once.
 */
import type { Transaction } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { Schema } from '../database/schema.ts'
import { encodeRequest, type Request } from '../messages/requests.ts'
import { QUEUES, type QueueName, type Queues } from '../queue/queues.ts'
import { latestTime } from './due.ts'
import { DATABASE_NOW } from './lease.ts'

export type { Request } from '../messages/requests.ts'

/** Writes requests; an existing one with the same name is left unchanged. */
export async function addRequests(
  database: Database | Transaction<Schema>,
  requests: readonly Request[],
  at: Date,
): Promise<void> {
  if (requests.length === 0) return
  await database
    .insertInto('outbox')
    .ignore()
    .values(
      requests.map((request) => ({
        name: request.name,
        queue: request.queue,
        body: encodeRequest(request),
        runId: request.runId,
        createdAt: at,
      })),
    )
    .execute()
}

const MOST_PER_QUEUE = 500
/** SQS accepts ten messages per call. */
const SENT_AT_ONCE = 10
/** No further message is started after this time: a queue that does not answer takes 20 s for each. */
const BEGIN_WITHIN_MS = 15_000

/**
 * Sends unsent requests: the named ones, or those older than `olderThan`, at most 500 a queue. Queues are
 * independent: one that fails holds up no other. Returns how many were sent.
 * @throws the error of the first request that could not be sent, after all others.
 */
export async function flushOutbox(
  database: Database,
  queues: Queues,
  which: { readonly names: readonly string[] } | { readonly olderThan: Date },
  signal: AbortSignal,
): Promise<number> {
  if ('names' in which && which.names.length === 0) return 0
  const rows = await unsentRows(database, which)
  const groups = [...Map.groupBy(rows, (row) => row.queue as QueueName)]
  const outcomes = await Promise.all(groups.map(([queue, group]) => sendGroup(queues, queue, group, signal)))
  const sent = outcomes.flatMap((outcome) => outcome.sent)
  if (sent.length > 0)
    await database.updateTable('outbox').set({ sentAt: DATABASE_NOW }).where('id', 'in', sent).execute()
  const [failure] = outcomes.flatMap((outcome) => outcome.failures)
  if (failure !== undefined) throw failure
  return sent.length
}

async function unsentRows(
  database: Database,
  which: { readonly names: readonly string[] } | { readonly olderThan: Date },
) {
  const unsent = database
    .selectFrom('outbox')
    .select(['id', 'queue', 'body'])
    .where('sentAt', 'is', null)
    .orderBy('id')
  if ('names' in which) return await unsent.where('name', 'in', which.names).execute()
  const { olderThan } = which
  const old = unsent
    .where((where) =>
      where.or([where('createdAt', '<', olderThan), where('createdAt', '>', latestTime(olderThan, 0))]),
    )
    .limit(MOST_PER_QUEUE)
  return (await Promise.all(QUEUES.map((queue) => old.where('queue', '=', queue).execute()))).flat()
}

interface Unsent {
  readonly id: number
  readonly body: string
}

/**
 * Sends in batches; those of a batch that fails one by one, so that a message that can never be sent does not
 * block the others.
 */
async function sendGroup(queues: Queues, queue: QueueName, group: readonly Unsent[], signal: AbortSignal) {
  const began = performance.now()
  const sent: number[] = []
  const failures: unknown[] = []
  const isOver = () => performance.now() - began >= BEGIN_WITHIN_MS
  const send = async (rows: readonly Unsent[]): Promise<void> => {
    if (isOver()) return
    const bodies = rows.map((row) => row.body)
    try {
      await queues.send(queue, bodies, signal)
      sent.push(...rows.map((row) => row.id))
    } catch (error) {
      if (rows.length === 1 || isOver()) failures.push(error)
      else for (const row of rows) await send([row])
    }
  }
  for (let start = 0; start < group.length; start += SENT_AT_ONCE)
    await send(group.slice(start, start + SENT_AT_ONCE))
  return { sent, failures }
}

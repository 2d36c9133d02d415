/**
 * The outbox: requests to other functions are rows, written in the transaction that causes them, sent after
 * its commit and marked as sent. After a crash in between they are unsent, and track-arrivals sends them
 * within a minute: each request is sent at least once.
 */
import type { Transaction } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { Schema } from '../database/schema.ts'
import { encodeRequest, type Request } from '../messages/requests.ts'
import type { QueueName, Queues } from '../queue/queues.ts'

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

/**
 * Sends unsent requests: the named ones, or those older than `olderThan`; at most 500 a call. Returns how
 * many were sent.
 */
export async function flushOutbox(
  database: Database,
  queues: Queues,
  which: { readonly names: readonly string[] } | { readonly olderThan: Date },
  signal: AbortSignal,
): Promise<number> {
  if ('names' in which && which.names.length === 0) return 0
  const rows = await database
    .selectFrom('outbox')
    .select(['id', 'queue', 'body'])
    .where('sentAt', 'is', null)
    .where((where) =>
      'names' in which ? where('name', 'in', which.names) : where('createdAt', '<', which.olderThan),
    )
    .orderBy('id')
    .limit(500)
    .execute()
  const groups = [...Map.groupBy(rows, (row) => row.queue as QueueName)]
  const outcomes = await Promise.all(groups.map(([queue, group]) => sendGroup(queues, queue, group, signal)))
  const sent = outcomes.flatMap((outcome) => outcome.sent)
  if (sent.length > 0)
    await database.updateTable('outbox').set({ sentAt: new Date() }).where('id', 'in', sent).execute()
  const [failure] = outcomes.flatMap((outcome) => outcome.failures)
  if (failure !== undefined) throw failure
  return sent.length
}

interface Unsent {
  readonly id: number
  readonly body: string
}

/**
 * Sends all in one batch; if that fails, one by one, so that a message that can never be sent does not block
 * the others.
 */
async function sendGroup(queues: Queues, queue: QueueName, group: readonly Unsent[], signal: AbortSignal) {
  const bodies = group.map((row) => row.body)
  const failed = await queues.send(queue, bodies, signal).then(
    () => null,
    (error: unknown) => error,
  )
  if (failed === null) return { sent: group.map((row) => row.id), failures: [] }
  if (group.length === 1) return { sent: [], failures: [failed] }
  const sent: number[] = []
  const failures: unknown[] = []
  for (const row of group)
    await queues.send(queue, [row.body], signal).then(
      () => sent.push(row.id),
      (error: unknown) => failures.push(error),
    )
  return { sent, failures }
}

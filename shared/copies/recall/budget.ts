/**
 * Limits on what is requested from tape: bytes per person and per tag within 24 hours, and the room in the store
 * (ADR 24). They are checked in the transaction that requests the recalls.
 */

import { sql, type Transaction } from 'kysely'
import { RECALL } from '../../catalogue/recalls.ts'
import type { Context } from '../../context.ts'
import type { Executor } from '../../database/connect.ts'
import type { Schema } from '../../database/schema.ts'
import { InvalidInputError } from '../../errors.ts'
import { cutText, sizeText } from '../../text.ts'
import { storeUsage } from '../clean/clean-policy.ts'

type Trx = Transaction<Schema>

const DAY_MS = 86_400_000
const LONGEST_SUBJECT = 200

/** Who requests recalls, and of which tags. */
export interface Requester {
  readonly subject: string
  readonly tags: readonly string[]
}

/** Files to be fetched. */
export interface Fetched {
  readonly tag: string
  readonly sizeBytes: number
}

type Limits = Context['config']

/**
 * Requests for the same person or tag wait for each other until their transactions end. Call it after all runs are
 * locked, right before `chargeBudgets`.
 */
export async function lockBudgets(trx: Trx, config: Limits, requester: Requester): Promise<void> {
  const names = [
    ...(config.recall.bytesPerDay === undefined ? [] : [`person:${subjectOf(requester)}`]),
    ...(config.recall.bytesPerTag === undefined ? [] : requester.tags.map((tag) => `tag:${tag}`)),
    ...(config.clean.capacityBytes === undefined ? [] : ['store']),
  ]
  // In the same order by everybody: otherwise two requests may wait for each other.
  for (const name of [...new Set(names)].toSorted()) {
    await trx.insertInto('recallBudgets').ignore().values({ name }).execute()
    await trx.selectFrom('recallBudgets').select('name').where('name', '=', name).forUpdate().execute()
  }
}

const subjectOf = ({ subject }: Pick<Requester, 'subject'>) => cutText(subject, LONGEST_SUBJECT)

/**
 * Counts the files whose recalls were written in this transaction.
 * @throws InvalidInputError when they exceed a budget or the room in the store, with the time from which they
 * do not.
 */
export async function chargeBudgets(
  trx: Trx,
  config: Limits,
  requester: Requester,
  files: readonly Fetched[],
  exceed: boolean,
  at: Date,
): Promise<void> {
  if (files.length === 0) return
  const byTag = [...Map.groupBy(files, ({ tag }) => tag)].map(([tag, own]) => ({ tag, bytes: sumOf(own) }))
  if (!exceed) {
    const refusal = (await overBudget(trx, config, requester, files, at)) ?? (await outOfRoom(trx, config, 0))
    if (refusal !== null) throw new InvalidInputError(refusal)
  }
  const subject = subjectOf(requester)
  await trx
    .insertInto('recallRequests')
    .values(byTag.map(({ tag, bytes }) => ({ subject, tag, requestedAt: at, sizeBytes: bytes })))
    .execute()
}

/** Why these files would be refused now, without any lock; null when they would not. */
export const refusalOf = async (
  { database, config }: Context<'database'>,
  requester: Requester,
  files: readonly Fetched[],
  at: Date,
): Promise<string | null> =>
  files.length === 0
    ? null
    : ((await overBudget(database, config, requester, files, at)) ??
      (await outOfRoom(database, config, sumOf(files))))

async function overBudget(
  executor: Executor,
  { recall: { bytesPerDay, bytesPerTag } }: Limits,
  requester: Requester,
  files: readonly Fetched[],
  at: Date,
): Promise<string | null> {
  if (bytesPerDay !== undefined) {
    const subject = subjectOf(requester)
    const used = await usedOf(executor, { subject }, at)
    const why = excessOf(used, sumOf(files), bytesPerDay, at)
    if (why !== null) return `your budget is ${sizeText(bytesPerDay)} a day: ${why}`
  }
  if (bytesPerTag === undefined) return null
  for (const [tag, own] of Map.groupBy(files, (file) => file.tag)) {
    const why = excessOf(await usedOf(executor, { tag }, at), sumOf(own), bytesPerTag, at)
    if (why !== null) return `the budget of ${tag} is ${sizeText(bytesPerTag)} a day: ${why}`
  }
  return null
}

interface Used {
  readonly requestedAt: Date
  readonly sizeBytes: number
}

/** Requests of the last 24 hours, the oldest first. */
async function usedOf(
  executor: Executor,
  of: { readonly subject: string } | { readonly tag: string },
  at: Date,
): Promise<readonly Used[]> {
  const [column, value] = 'tag' in of ? (['tag', of.tag] as const) : (['subject', of.subject] as const)
  return await executor
    .selectFrom('recallRequests')
    .select(['requestedAt', 'sizeBytes'])
    .where(column, '=', value)
    .where('requestedAt', '>', new Date(at.getTime() - DAY_MS))
    .orderBy('requestedAt')
    .execute()
}

/** Null when `wanted` bytes are within the budget. */
function excessOf(used: readonly Used[], wanted: number, budget: number, at: Date): string | null {
  let left = budget - sumOf(used)
  if (wanted <= left) return null
  const more = `this needs ${sizeText(wanted)} from tape`
  if (wanted > budget) return `${more} at once, which only an operator can permit (--exceed)`
  let from = at
  for (const { requestedAt, sizeBytes } of used) {
    left += sizeBytes
    from = new Date(requestedAt.getTime() + DAY_MS)
    if (wanted <= left) break
  }
  const already = sizeText(sumOf(used))
  return `${more}, and ${already} were requested within 24 hours; it is possible from ${from.toISOString()} on, or with --exceed by an operator`
}

/**
 * Why the store, with all recalls in progress and these bytes, would be fuller than the cleaner permits; null when
 * it would not.
 */
async function outOfRoom(executor: Executor, config: Limits, moreBytes: number): Promise<string | null> {
  const room = await storeUsage(executor, config)
  if (room === null) return null
  const { bytes } = await executor
    .selectFrom('tasks')
    .innerJoin('recalls', 'recalls.id', 'tasks.subjectId')
    .select(sql<number | string | null>`SUM(recalls.size_bytes)`.as('bytes'))
    .where('tasks.kind', '=', RECALL)
    .where('tasks.state', 'not in', ['done', 'given-up'])
    .where('recalls.state', '=', 'planned')
    .executeTakeFirstOrThrow()
  const expected = Number(bytes ?? 0) + moreBytes
  if (room.usedBytes + expected <= room.highBytes) return null
  return `the store has no room: it holds ${sizeText(room.usedBytes)} of at most ${sizeText(room.highBytes)}, and with this request ${sizeText(expected)} are to come from tape; it is possible when the cleaner has deleted runs, or with --exceed by an operator`
}

const sumOf = (files: readonly { readonly sizeBytes: number }[]) =>
  files.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0)

/** Deletes what no budget counts any more. */
export async function purgeRequests({ database }: Context<'database'>, at: Date): Promise<void> {
  await database
    .deleteFrom('recallRequests')
    .where('requestedAt', '<', new Date(at.getTime() - 2 * DAY_MS))
    .limit(1000)
    .execute()
}

/**
 * Deletes temporary objects that no recall needs any more: an endpoint may finish a PUT after its recall has ended
 * and tidied up, as long as its link is valid.
 */
import { RECALL } from '../../catalogue/recalls.ts'
import type { Context } from '../../context.ts'
import type { Database } from '../../database/connect.ts'
import { describeObject, listObjects } from '../../storage/objects.ts'
import { LINK_SECONDS } from './bring-back.ts'
import { PREFIX, removeTemporary } from './temporary.ts'

/** A PUT that began while the link was valid may last this much longer. */
const LONGEST_PUT_MS = 3_600_000

/** @returns how many were deleted. */
export async function sweepTemporaries(
  context: Context<'database' | 's3'>,
  signal: AbortSignal,
): Promise<number> {
  const { s3, config, database } = context
  const until = context.now().getTime() - LINK_SECONDS * 1000 - LONGEST_PUT_MS
  let deleted = 0
  for (const bucket of config.store.rawBuckets) {
    // One page: there are never many, since few files are brought back at the same time.
    const { objects } = await listObjects(s3, { bucket, prefix: PREFIX, startAfter: null }, signal)
    for (const { key } of objects) {
      const name = key.slice(PREFIX.length)
      if (!/^[0-9a-f]{32}$/.test(name) || (await isInProgress(database, name))) continue
      const seen = await describeObject(s3, { bucket, key }, signal)
      if (seen === null || seen.lastModified === null || seen.lastModified.getTime() > until) continue
      await removeTemporary(context, seen, signal)
      deleted++
    }
  }
  return deleted
}

/** @param name the first half of the recall's identity, hexadecimal. */
async function isInProgress(database: Database, name: string): Promise<boolean> {
  const recall = await database
    .selectFrom('recalls')
    .innerJoin('tasks', 'tasks.subjectId', 'recalls.id')
    .select('recalls.id')
    .where('recalls.identity', '>=', Buffer.from(name.padEnd(64, '0'), 'hex'))
    .where('recalls.identity', '<=', Buffer.from(name.padEnd(64, 'f'), 'hex'))
    .where('tasks.kind', '=', RECALL)
    .where('tasks.state', 'not in', ['done', 'given-up'])
    .executeTakeFirst()
  return recall !== undefined
}

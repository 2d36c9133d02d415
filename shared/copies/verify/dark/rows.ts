/** The rows of dark copies, with their dates, and the date of the last search of each place. */
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import type { Database } from '../../../database/connect.ts'
import { cutText, wellFormed } from '../../../text.ts'

const LONGEST_NAME = 1300
/**
 * Marks our rows in reconcile's table of listings: no bucket name has a colon, and no key of ours starts so.
 */
const PASS = 'dark:'

const identityOf = (endpoint: string, name: string) =>
  createHash('sha256').update(`${endpoint}\0${name}`).digest()

export async function noteDark(
  database: Database,
  endpoint: string,
  entries: readonly { readonly name: string; readonly sizeBytes: number }[],
  at: Date,
): Promise<void> {
  if (entries.length === 0) return
  const rows = entries.map(({ name, sizeBytes }) => ({
    identity: identityOf(endpoint, name),
    endpoint,
    name: cutText(wellFormed(name), LONGEST_NAME),
    sizeBytes,
    firstSeenAt: at,
    lastSeenAt: at,
  }))
  await database
    .insertInto('darkObjects')
    .values(rows)
    .onDuplicateKeyUpdate({
      sizeBytes: sql<number>`VALUES(size_bytes)`,
      lastSeenAt: at,
      resolvedAt: null,
    })
    .execute()
}

/**
 * A complete search that started at `begunAt` did not find these any more: they are now known, or were
 * removed. Returns how many.
 */
export async function resolveDark(
  database: Database,
  endpoint: string,
  begunAt: Date,
  at: Date,
): Promise<number> {
  const result = await database
    .updateTable('darkObjects')
    .set({ resolvedAt: at })
    .where('endpoint', '=', endpoint)
    .where('resolvedAt', 'is', null)
    .where('lastSeenAt', '<', begunAt)
    .executeTakeFirst()
  return Number(result.numUpdatedRows)
}

/** When the last search of a place ended, complete or not. */
export async function lastDarkPass(database: Database, endpoint: string): Promise<Date | null> {
  const pass = await database
    .selectFrom('reconciliations')
    .select('updatedAt')
    .where('bucket', '=', endpoint)
    .where('prefix', '=', PASS)
    .executeTakeFirst()
  return pass?.updatedAt ?? null
}

export async function noteDarkPass(
  database: Database,
  endpoint: string,
  pass: { readonly begunAt: Date; readonly at: Date; readonly listed: number; readonly finished: boolean },
): Promise<void> {
  const finishedAt = pass.finished ? pass.at : null
  const place = {
    startedAt: pass.begunAt,
    updatedAt: pass.at,
    finishedAt,
    listed: pass.listed,
    enqueued: 0,
  }
  await database
    .insertInto('reconciliations')
    .values({ bucket: endpoint, prefix: PASS, startAfter: null, ...place })
    .onDuplicateKeyUpdate(place)
    .execute()
}

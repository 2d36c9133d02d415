/** What is known of dark copies, with its dates, and when a place was last gone through for them. */
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import type { Database } from '../../../database/connect.ts'

const LONGEST_NAME = 1300
/**
 * In the table of listings, beside those of reconcile: no bucket has a colon in its name, no key of ours
 * begins so.
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
    name: name.slice(0, LONGEST_NAME).toWellFormed(),
    size_bytes: sizeBytes,
    first_seen_at: at,
    last_seen_at: at,
  }))
  await database
    .insertInto('dark_objects')
    .values(rows)
    .onDuplicateKeyUpdate({
      size_bytes: sql<number>`VALUES(size_bytes)`,
      last_seen_at: at,
      resolved_at: null,
    })
    .execute()
}

/**
 * A whole pass that began at `begunAt` did not find these dark any more: they are known by now, or gone.
 * Returns how many.
 */
export async function resolveDark(
  database: Database,
  endpoint: string,
  begunAt: Date,
  at: Date,
): Promise<number> {
  const result = await database
    .updateTable('dark_objects')
    .set({ resolved_at: at })
    .where('endpoint', '=', endpoint)
    .where('resolved_at', 'is', null)
    .where('last_seen_at', '<', begunAt)
    .executeTakeFirst()
  return Number(result.numUpdatedRows)
}

/** When the last pass through a place ended, whether it came to the end of the place or not. */
export async function lastDarkPass(database: Database, endpoint: string): Promise<Date | null> {
  const pass = await database
    .selectFrom('reconciliations')
    .select('updated_at')
    .where('bucket', '=', endpoint)
    .where('prefix', '=', PASS)
    .executeTakeFirst()
  return pass?.updated_at ?? null
}

export async function noteDarkPass(
  database: Database,
  endpoint: string,
  pass: { readonly begunAt: Date; readonly at: Date; readonly listed: number; readonly finished: boolean },
): Promise<void> {
  const finishedAt = pass.finished ? pass.at : null
  const place = {
    started_at: pass.begunAt,
    updated_at: pass.at,
    finished_at: finishedAt,
    listed: pass.listed,
    enqueued: 0,
  }
  await database
    .insertInto('reconciliations')
    .values({ bucket: endpoint, prefix: PASS, start_after: null, ...place })
    .onDuplicateKeyUpdate(place)
    .execute()
}

/**
 * Sessions of browsers that were ended before their time. A session is in its cookie alone; what stands here
 * makes a copy of that cookie worthless. A row is kept until the sessions that it ends would have ended by
 * themselves.
 */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { EndedSessionsTable } from './schema.ts'

export interface BegunSession {
  readonly id: string
  /** `person:<subject of the IAM>`. */
  readonly subject: string
  readonly begunAt: Date
}

/** Clocks of those who look differ from the clock of who removes. */
const KEPT_LONGER_MS = 3_600_000
/** Rows past their time, of which one that ends a session removes some. */
const REMOVED_AT_ONCE = 100

const tables = (database: Database) => database.withTables<{ endedSessions: EndedSessionsTable }>()
const nameOf = (id: string) => `session:${id}`

/** True when the session was ended, or all sessions of its person when it had begun. */
export async function isEnded(database: Database, { id, subject, begunAt }: BegunSession): Promise<boolean> {
  const rows = await tables(database)
    .selectFrom('endedSessions')
    .select(['name', 'endedAt'])
    .where('name', 'in', [nameOf(id), subject])
    .execute()
  return rows.some((row) => row.name === nameOf(id) || row.endedAt >= begunAt)
}

/** @param expiresAt when it would have ended by itself. */
export const endSession = (database: Database, id: string, at: Date, expiresAt: Date): Promise<void> =>
  end(database, nameOf(id), at, expiresAt)

/**
 * Ends all sessions that the person has now. @param expiresAt when the last of them would have ended by
 * itself.
 */
export const endSessionsOf = (
  database: Database,
  subject: string,
  at: Date,
  expiresAt: Date,
): Promise<void> => end(database, subject, at, expiresAt)

/** A row only ever ends more: of two that are written at the same time, the later counts. */
async function end(database: Database, name: string, at: Date, expiresAt: Date): Promise<void> {
  await tables(database)
    .insertInto('endedSessions')
    .values({ name, endedAt: at, expiresAt })
    .onDuplicateKeyUpdate({
      endedAt: sql<Date>`GREATEST(ended_at, VALUES(ended_at))`,
      expiresAt: sql<Date>`GREATEST(expires_at, VALUES(expires_at))`,
    })
    .execute()
  await tables(database)
    .deleteFrom('endedSessions')
    .where('expiresAt', '<', new Date(at.getTime() - KEPT_LONGER_MS))
    .limit(REMOVED_AT_ONCE)
    .execute()
}

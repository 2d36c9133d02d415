/**
 * Browser sessions that were ended before their expiry. A session exists only in its cookie; a row here
 * invalidates all copies of that cookie. A row is kept until the sessions that it ends would have expired.
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

/** Tolerance for clock differences between processes. */
const RETENTION_MARGIN_MS = 3_600_000
/** Expired rows, some of which are removed with each new row. */
const REMOVED_PER_CALL = 100

const tables = (database: Database) => database.withTables<{ endedSessions: EndedSessionsTable }>()
const nameOf = (id: string) => `session:${id}`

/** Whether the session was ended, alone or with all sessions of its person. */
export async function isEnded(database: Database, { id, subject, begunAt }: BegunSession): Promise<boolean> {
  const rows = await tables(database)
    .selectFrom('endedSessions')
    .select(['name', 'endedAt'])
    .where('name', 'in', [nameOf(id), subject])
    .execute()
  return rows.some((row) => row.name === nameOf(id) || row.endedAt >= begunAt)
}

/** @param expiresAt the expiry of the session. */
export const endSession = (database: Database, id: string, at: Date, expiresAt: Date): Promise<void> =>
  end(database, nameOf(id), at, expiresAt)

/** Ends all current sessions of a person. @param expiresAt the expiry of the last of them. */
export const endSessionsOf = (
  database: Database,
  subject: string,
  at: Date,
  expiresAt: Date,
): Promise<void> => end(database, subject, at, expiresAt)

/** A row can only be extended: of two concurrent writes, the later time counts. */
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
    .where('expiresAt', '<', new Date(at.getTime() - RETENTION_MARGIN_MS))
    .limit(REMOVED_PER_CALL)
    .execute()
}

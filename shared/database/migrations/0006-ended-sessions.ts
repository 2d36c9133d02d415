/** Sessions of browsers that were ended before their time: what is in a cookie alone cannot be taken back. */
import { type Kysely, sql } from 'kysely'

const ENDED_SESSIONS = `CREATE TABLE IF NOT EXISTS ended_sessions (
    name VARCHAR(300) NOT NULL PRIMARY KEY,
    ended_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    KEY by_expiry (expires_at)
  ) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin`

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql.raw(ENDED_SESSIONS).execute(database)
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`DROP TABLE IF EXISTS ended_sessions`.execute(database)
}

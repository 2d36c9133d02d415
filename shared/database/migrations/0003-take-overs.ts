/**
 * Take-over times of tags, and what is older than them: history (ADR 19). The tags of a catalogue that was
 * made before keep what they have: taken over from the beginning, they have no history.
 */
import { type Kysely, sql } from 'kysely'
import { OPTIONS } from './0001-schema/0001-schema.ts'

const STATEMENTS: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS take_overs (
    tag VARCHAR(200) NOT NULL PRIMARY KEY,
    since DATETIME(3) NOT NULL,
    set_at DATETIME(3) NOT NULL
  ) ${OPTIONS}`,
  `INSERT IGNORE INTO take_overs (tag, since, set_at)
    SELECT DISTINCT tag, '1970-01-01 00:00:00', UTC_TIMESTAMP(3) FROM runs`,
  // by_due_history: live arrivals first. by_history: those that wait, without the history between them.
  `ALTER TABLE arrivals
    ADD COLUMN IF NOT EXISTS is_history TINYINT(1) NOT NULL DEFAULT 0,
    ADD INDEX IF NOT EXISTS by_due_history (bucket, is_history, next_attempt_at),
    ADD INDEX IF NOT EXISTS by_history (is_history, state, received_at)`,
  `ALTER TABLE run_files
    ADD COLUMN IF NOT EXISTS is_history TINYINT(1) NOT NULL DEFAULT 0,
    ADD INDEX IF NOT EXISTS by_history (is_history, last_modified, run_id)`,
  `ALTER TABLE runs ADD COLUMN IF NOT EXISTS is_history TINYINT(1) NOT NULL DEFAULT 0`,
]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database)
}

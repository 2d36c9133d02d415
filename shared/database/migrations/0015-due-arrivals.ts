/** An arrival is work with a next attempt: it is found due in the ledger, whatever became of its message. */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE arrivals ADD COLUMN IF NOT EXISTS next_attempt_at DATETIME(3) NULL AFTER attempts,
    ADD KEY IF NOT EXISTS by_due (bucket, next_attempt_at)`.execute(database)
  await sql`UPDATE arrivals SET next_attempt_at = UTC_TIMESTAMP(3) WHERE next_attempt_at IS NULL
    AND (state IN ('received','processing') OR (state = 'failed' AND outcome IS NULL AND attempts < 30))`.execute(
    database,
  )
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE arrivals DROP KEY IF EXISTS by_due, DROP COLUMN IF EXISTS next_attempt_at`.execute(
    database,
  )
}

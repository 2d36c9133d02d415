/**
 * Times of begin by run number: a search by numbers in the order of time reads no row that it does not show.
 */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`CREATE INDEX IF NOT EXISTS begin_by_number ON runs (tag, is_current, run_number, started_at)`.execute(
    database,
  )
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`DROP INDEX IF EXISTS begin_by_number ON runs`.execute(database)
}

/** Runs and bytes by where they are, without a look at any row. */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`CREATE INDEX IF NOT EXISTS totals ON runs (is_current, tag, tape, cloud, size_bytes)`.execute(
    database,
  )
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`DROP INDEX IF EXISTS totals ON runs`.execute(database)
}

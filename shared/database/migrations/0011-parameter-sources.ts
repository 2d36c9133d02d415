/** What the files state of a run, and what people corrected, each kept by itself beside what the logger wrote. */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS file_parameters JSON NULL AFTER parameters,
    ADD COLUMN IF NOT EXISTS corrections JSON NULL AFTER logger_parameters`.execute(database)
  await sql`UPDATE runs SET file_parameters = parameters WHERE first_file_at IS NOT NULL`.execute(database)
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE runs
    DROP COLUMN IF EXISTS file_parameters, DROP COLUMN IF EXISTS corrections`.execute(database)
}

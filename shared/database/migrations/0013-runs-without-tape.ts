/** Runs that have been without a copy on tape for too long, without reading those of history or without a file. */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE runs
    ADD INDEX IF NOT EXISTS by_tag_untaped (tag, is_current, tape, is_history, first_file_at)`.execute(
    database,
  )
}

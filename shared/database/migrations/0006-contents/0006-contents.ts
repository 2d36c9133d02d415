/** Finds files by their contents: the same bytes may be catalogued under two tags. */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE run_files ADD INDEX IF NOT EXISTS by_contents (sha256)`.execute(database)
}

/** Whether a tag has history, asked at each listing, without reading all its runs. */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE runs ADD INDEX IF NOT EXISTS by_tag_history (tag, is_history)`.execute(database)
}

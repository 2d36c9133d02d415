/** The machine that an API token speaks for; null: its name is that of the machine (tokens made before). */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql
    .raw('ALTER TABLE api_tokens ADD COLUMN IF NOT EXISTS machine VARCHAR(253) NULL AFTER name')
    .execute(database)
}

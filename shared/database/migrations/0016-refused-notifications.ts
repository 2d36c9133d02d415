/** Notifications that were refused, counted for all processes. */
import { type Kysely, sql } from 'kysely'
import { OPTIONS } from './0001-schema/0001-schema.ts'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql
    .raw(`CREATE TABLE IF NOT EXISTS refused_notifications (
      reason VARCHAR(100) NOT NULL PRIMARY KEY,
      times BIGINT UNSIGNED NOT NULL,
      since DATETIME(3) NOT NULL,
      refused_at DATETIME(3) NOT NULL
    ) ${OPTIONS}`)
    .execute(database)
}

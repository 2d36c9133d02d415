/** How far the notifications of `cygnet notifications test` have come. */
import { type Kysely, sql } from 'kysely'
import { OPTIONS } from './0001-schema/0001-schema.ts'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql
    .raw(`CREATE TABLE IF NOT EXISTS notification_tests (
      id CHAR(36) NOT NULL PRIMARY KEY,
      started_at DATETIME(3) NOT NULL,
      received_at DATETIME(3) NULL,
      processed_at DATETIME(3) NULL
    ) ${OPTIONS}`)
    .execute(database)
}

/** A file may have frames of several cameras, each by its number; those of before had camera 0 alone. */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE run_files CHANGE COLUMN IF EXISTS camera cameras JSON NOT NULL`.execute(database)
  await sql`UPDATE run_files SET cameras = IF(JSON_TYPE(cameras) = 'OBJECT', JSON_ARRAY(JSON_INSERT(cameras, '$.number', 0)), '[]')
    WHERE JSON_TYPE(cameras) <> 'ARRAY'`.execute(database)
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE run_files CHANGE COLUMN IF EXISTS cameras camera JSON NOT NULL`.execute(database)
  await sql`UPDATE run_files SET camera = COALESCE(JSON_REMOVE(JSON_EXTRACT(camera, '$[0]'), '$.number'), 'null')
    WHERE JSON_TYPE(camera) = 'ARRAY'`.execute(database)
}

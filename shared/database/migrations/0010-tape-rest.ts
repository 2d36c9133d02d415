/**
 * Which endpoints have shown a Tape REST API, so that its absence is not believed there later (ADR 8). Only such an
 * API reports copies that are on the disk buffer.
 */
import { type Kysely, sql } from 'kysely'
import { OPTIONS } from './0001-schema/0001-schema.ts'

const STATEMENTS: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS tape_endpoints (
    endpoint VARCHAR(255) NOT NULL PRIMARY KEY,
    tape_rest_found_at DATETIME(3) NULL,
    tape_rest_absent_since DATETIME(3) NULL
  ) ${OPTIONS}`,
  `INSERT IGNORE INTO tape_endpoints (endpoint, tape_rest_found_at)
    SELECT endpoint, UTC_TIMESTAMP(3) FROM replicas WHERE kind = 'tape' AND state = 'staged' GROUP BY endpoint`,
]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database)
}

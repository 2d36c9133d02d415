/**
 * What was requested from tape, for the budgets of persons and tags (ADR 24). Recalls of before are not counted:
 * a budget concerns the last day.
 */
import { type Kysely, sql } from 'kysely'
import { OPTIONS } from './0001-schema/0001-schema.ts'

const STATEMENTS: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS recall_requests (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subject VARCHAR(200) NOT NULL,
    tag VARCHAR(200) NOT NULL,
    requested_at DATETIME(3) NOT NULL,
    size_bytes BIGINT UNSIGNED NOT NULL,
    KEY by_subject (subject, requested_at),
    KEY by_tag (tag, requested_at),
    KEY by_time (requested_at)
  ) ${OPTIONS}`,
  `CREATE TABLE IF NOT EXISTS recall_budgets (name VARCHAR(210) NOT NULL PRIMARY KEY) ${OPTIONS}`,
]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database)
}

/**
 * Personal tokens, the people who have some with their last confirmed rights, and the audit of rights that were
 * used (ADR 25).
 */
import { type Kysely, sql } from 'kysely'
import { OPTIONS } from './0001-schema/0001-schema.ts'

const STATEMENTS: readonly string[] = [
  `ALTER TABLE api_tokens
    ADD COLUMN IF NOT EXISTS subject VARCHAR(300) NULL AFTER machine,
    ADD KEY IF NOT EXISTS by_subject (subject)`,
  `CREATE TABLE IF NOT EXISTS people (
    subject VARCHAR(300) NOT NULL PRIMARY KEY,
    name VARCHAR(400) NOT NULL,
    scopes JSON NOT NULL,
    confirmed_at DATETIME(3) NOT NULL,
    lasting_sign_in TEXT NULL,
    renewing_until DATETIME(3) NULL
  ) ${OPTIONS}`,
  `CREATE TABLE IF NOT EXISTS audited_uses (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    used_at DATETIME(3) NOT NULL,
    subject VARCHAR(300) NOT NULL,
    name VARCHAR(400) NOT NULL,
    token_id BIGINT UNSIGNED NULL,
    action VARCHAR(30) NOT NULL,
    object VARCHAR(1000) NOT NULL,
    request_id VARCHAR(255) NULL,
    outcome VARCHAR(1000) NULL,
    KEY by_time (used_at),
    KEY by_subject (subject, id)
  ) ${OPTIONS}`,
]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database)
}

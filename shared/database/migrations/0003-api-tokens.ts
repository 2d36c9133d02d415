/** Tokens of the API: their hashes, what they are good for, and until when. */
import { type Kysely, sql } from 'kysely'

const API_TOKENS = `CREATE TABLE IF NOT EXISTS api_tokens (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    token_hash BINARY(32) NOT NULL UNIQUE,
    scopes JSON NOT NULL,
    created_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    revoked_at DATETIME(3) NULL,
    last_used_at DATETIME(3) NULL,
    KEY by_name (name)
  ) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin`

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql.raw(API_TOKENS).execute(database)
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`DROP TABLE IF EXISTS api_tokens`.execute(database)
}

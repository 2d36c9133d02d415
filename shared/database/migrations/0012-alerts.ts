/**
 * Alerts: episodes, the messages that show them, silences; and which alerts of the outbox were folded into episodes
 * (ADR 27). Alerts of more than a day ago make no episodes: nobody is to be told of them now.
 */
import { type Kysely, sql } from 'kysely'
import { OPTIONS } from './0001-schema/0001-schema.ts'

const STATEMENTS: readonly string[] = [
  `ALTER TABLE outbox
    ADD COLUMN IF NOT EXISTS folded_at DATETIME(3) NULL,
    ADD KEY IF NOT EXISTS unfolded (queue, folded_at, id)`,
  `UPDATE outbox SET folded_at = created_at
    WHERE queue = 'alerts' AND folded_at IS NULL AND created_at < UTC_TIMESTAMP(3) - INTERVAL 1 DAY`,
  `CREATE TABLE IF NOT EXISTS alerts (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    fingerprint VARCHAR(32) CHARACTER SET ascii NOT NULL,
    rule VARCHAR(64) NOT NULL,
    severity VARCHAR(8) NOT NULL,
    labels JSON NOT NULL,
    subject VARCHAR(500) NOT NULL,
    tag VARCHAR(200) NULL,
    run_number INT UNSIGNED NULL,
    run_id BIGINT UNSIGNED NULL,
    bucket VARCHAR(255) NULL,
    object_key VARCHAR(1024) NULL,
    summary TEXT NOT NULL,
    facts JSON NOT NULL,
    attachment JSON NULL,
    since DATETIME(3) NOT NULL,
    last_seen DATETIME(3) NOT NULL,
    count INT UNSIGNED NOT NULL DEFAULT 1,
    acknowledged_by VARCHAR(400) NULL,
    acknowledged_at DATETIME(3) NULL,
    comment TEXT NULL,
    resolved_at DATETIME(3) NULL,
    resolved_by VARCHAR(400) NULL,
    revision INT UNSIGNED NOT NULL DEFAULT 1,
    open_fingerprint VARCHAR(32) CHARACTER SET ascii AS (IF(resolved_at IS NULL, fingerprint, NULL)) PERSISTENT,
    UNIQUE KEY one_open (open_fingerprint),
    KEY by_fingerprint (fingerprint, id),
    KEY by_end (resolved_at, since),
    KEY by_rule (rule, resolved_at),
    KEY by_run (run_id, resolved_at),
    KEY by_time (last_seen)
  ) ${OPTIONS}`,
  `CREATE TABLE IF NOT EXISTS alert_posts (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    channel VARCHAR(64) NOT NULL,
    kind VARCHAR(12) NOT NULL,
    subject VARCHAR(200) NOT NULL,
    alert_id BIGINT UNSIGNED NULL,
    post_number INT UNSIGNED NOT NULL DEFAULT 1,
    message_id VARCHAR(255) NULL,
    wanted INT UNSIGNED NOT NULL DEFAULT 1,
    shown INT UNSIGNED NOT NULL DEFAULT 0,
    created_at DATETIME(3) NOT NULL,
    shown_at DATETIME(3) NULL,
    UNIQUE KEY one_post (channel, kind, subject),
    KEY by_alert (alert_id)
  ) ${OPTIONS}`,
  `CREATE TABLE IF NOT EXISTS silences (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    matchers JSON NOT NULL,
    starts_at DATETIME(3) NOT NULL,
    ends_at DATETIME(3) NOT NULL,
    author VARCHAR(400) NOT NULL,
    comment TEXT NOT NULL,
    created_at DATETIME(3) NOT NULL,
    KEY by_end (ends_at)
  ) ${OPTIONS}`,
]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database)
}

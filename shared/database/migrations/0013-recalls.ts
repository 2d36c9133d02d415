/**
 * Recalls: facts about contents that came back from tape for a while. They were rows of `replicas`, although
 * the copy in the store is one and has its own row; the work on them is tasks from here on. Ids stay, since
 * messages name them.
 */
import { type Kysely, sql } from 'kysely'

const OPTIONS = 'ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin'

const COLUMNS = `id, identity, run_id, tag, run_number, bucket, object_key, size_bytes, md5, adler32, sha256, requested_at, requested_by,
  generation, stored_at, verified_at, verified_by, checked_at, updated_at`

const STATEMENTS = [
  `CREATE TABLE IF NOT EXISTS recalls (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    identity BINARY(32) NOT NULL UNIQUE,
    run_id BIGINT UNSIGNED NOT NULL,
    tag VARCHAR(200) NOT NULL,
    run_number INT UNSIGNED NOT NULL,
    bucket VARCHAR(255) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    size_bytes BIGINT UNSIGNED NOT NULL,
    md5 CHAR(32) NOT NULL,
    adler32 CHAR(8) NOT NULL,
    sha256 CHAR(64) NOT NULL,
    state VARCHAR(16) NOT NULL,
    requested_at DATETIME(3) NOT NULL,
    requested_by VARCHAR(100) NOT NULL,
    generation INT UNSIGNED NOT NULL DEFAULT 1,
    expires_at DATETIME(3) NOT NULL,
    stored_at DATETIME(3) NULL,
    verified_at DATETIME(3) NULL,
    verified_by VARCHAR(255) NULL,
    checked_at DATETIME(3) NULL,
    etag VARCHAR(255) NULL,
    updated_at DATETIME(3) NOT NULL,
    KEY by_run (run_id),
    KEY by_object (bucket, object_key(480)),
    KEY by_end (state, expires_at),
    CONSTRAINT recall_of_run FOREIGN KEY (run_id) REFERENCES runs (id),
    CONSTRAINT recall_state CHECK (state IN ('planned','present','expired'))
  ) ${OPTIONS}`,
  // What had vanished or gone bad in the store again is over: requested once more, it is fetched once more.
  `INSERT IGNORE INTO recalls (${COLUMNS}, state, expires_at, etag)
    SELECT ${COLUMNS},
      CASE WHEN state = 'present' THEN 'present' WHEN state IN ('requested','copying','staging','failed') THEN 'planned'
        ELSE 'expired' END,
      COALESCE(expires_at, requested_at),
      IF(state IN ('present','expired') AND reference LIKE 'object:%', SUBSTRING(reference, 8), NULL)
    FROM replicas WHERE kind = 'recall'`,
  // The endpoint is the one with the copy; a reference was a stage request, or an upload and one behind a line break.
  // What was in progress goes on now; the time limit begins anew, since how long each has waited is not its fault.
  `INSERT IGNORE INTO tasks (kind, name, subject_id, run_id, dependency, needs, state, takes_turn, requested_at, requested_by,
      attempts, next_attempt_at, deadline_at, last_error, reference)
    SELECT 'recall', CONCAT('recall:', r.id), r.id, r.run_id,
      CONCAT('tape-read:', COALESCE((SELECT c.endpoint FROM replicas c WHERE c.bucket = r.bucket AND c.object_key = r.object_key
        AND c.sha256 = r.sha256 AND c.kind = 'tape' ORDER BY c.state = 'on-media' DESC, c.id LIMIT 1), '')), CONCAT('store:', r.bucket),
      CASE WHEN r.state = 'staging' THEN 'pending' WHEN r.state = 'failed' AND r.next_attempt_at IS NULL THEN 'given-up'
        ELSE 'waiting' END, FALSE,
      r.requested_at, r.requested_by, r.attempts,
      COALESCE(r.next_attempt_at, IF(r.attempts > 0, UTC_TIMESTAMP(3), r.requested_at)), UTC_TIMESTAMP(3) + INTERVAL 48 HOUR, r.last_error,
      CASE WHEN r.reference IS NULL OR r.reference LIKE 'object:%' THEN NULL
        WHEN r.reference NOT LIKE 'upload:%' THEN JSON_OBJECT('stage', r.reference)
        WHEN LOCATE('\\n', r.reference) = 0 THEN JSON_OBJECT('upload', SUBSTRING(r.reference, 8))
        ELSE JSON_OBJECT('upload', SUBSTRING(r.reference, 8, LOCATE('\\n', r.reference) - 8),
          'stage', SUBSTRING(r.reference, LOCATE('\\n', r.reference) + 1)) END
    FROM replicas r WHERE r.kind = 'recall' AND r.state IN ('requested','copying','staging','failed')`,
  `DELETE FROM replicas WHERE kind = 'recall'`,
  'ALTER TABLE replicas DROP CONSTRAINT IF EXISTS replica_kind',
  `ALTER TABLE replicas ADD CONSTRAINT replica_kind CHECK (kind IN ('local','cloud','tape'))`,
  // Recalls as readers see them, with the columns of copies: what is known of each, and how the work on it stands.
  `CREATE OR REPLACE VIEW shown_recalls AS
    SELECT r.id, r.identity, r.run_id, r.tag, r.run_number, r.bucket, r.object_key, 'recall' AS kind, '' AS endpoint,
      CONCAT('s3://', r.bucket, '/', r.object_key) AS url, CONCAT(r.bucket, '/', r.object_key) AS name,
      r.size_bytes, r.md5, r.adler32, r.sha256,
      CASE WHEN r.state <> 'planned' THEN r.state WHEN t.state = 'running' THEN 'copying' WHEN t.state = 'pending' THEN 'staging'
        WHEN t.id IS NULL OR t.state IN ('failing','given-up') OR (t.attempts > 0 AND t.last_error IS NOT NULL) THEN 'failed'
        WHEN JSON_VALUE(t.reference, '$.stage') IS NOT NULL THEN 'staging' ELSE 'requested' END AS state,
      COALESCE(t.priority, 'live') AS priority, r.requested_at, r.requested_by, CAST(NULL AS DATETIME(3)) AS started_at,
      r.stored_at, r.verified_at, r.verified_by, r.checked_at, r.expires_at, CAST(NULL AS DATETIME(3)) AS deleted_at, r.updated_at,
      IF(r.state = 'planned', JSON_VALUE(t.reference, '$.stage') COLLATE utf8mb4_nopad_bin, CONCAT('object:', r.etag)) AS reference,
      r.generation, CASE WHEN r.state <> 'planned' OR t.id IS NULL THEN 0
        WHEN t.state IN ('running','pending') AND t.attempts > 0 THEN t.attempts - 1 ELSE t.attempts END AS attempts,
      CASE WHEN r.state <> 'planned' OR t.state IN ('running','done','given-up') THEN NULL
        WHEN t.state = 'waiting' THEN NULLIF(t.next_attempt_at, t.requested_at) ELSE t.next_attempt_at END AS next_attempt_at,
      IF(r.state = 'planned', t.last_error, NULL) AS last_error, t.lease_owner, t.lease_until,
      r.etag
    FROM recalls r LEFT JOIN tasks t ON t.kind = 'recall' AND t.subject_id = r.id`,
]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database)
}

/** Recalls are lost: their rows do not become replicas again. What they brought back stays in the store. */
export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`DROP VIEW IF EXISTS shown_recalls`.execute(database)
  await sql`DROP TABLE IF EXISTS recalls`.execute(database)
  await sql`DELETE FROM tasks WHERE kind = 'recall'`.execute(database)
  await sql`ALTER TABLE replicas DROP CONSTRAINT IF EXISTS replica_kind`.execute(database)
}

/**
 * Work with side effects outside the database, and the circuit breakers of what it needs. Copies to tape are
 * tasks from here on: their rows in `replicas` hold facts alone.
 */
import { type Kysely, sql } from 'kysely'

const OPTIONS = 'ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin'

const STATEMENTS = [
  `CREATE TABLE IF NOT EXISTS tasks (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    kind VARCHAR(32) NOT NULL,
    name VARCHAR(255) NOT NULL UNIQUE,
    subject_id BIGINT UNSIGNED NOT NULL,
    run_id BIGINT UNSIGNED NULL,
    dependency VARCHAR(300) NOT NULL,
    needs VARCHAR(300) NULL,
    state VARCHAR(16) NOT NULL,
    priority VARCHAR(8) NOT NULL DEFAULT 'live',
    requested_at DATETIME(3) NOT NULL,
    requested_by VARCHAR(100) NOT NULL,
    started_at DATETIME(3) NULL,
    finished_at DATETIME(3) NULL,
    attempts INT UNSIGNED NOT NULL DEFAULT 0,
    next_attempt_at DATETIME(3) NOT NULL,
    deadline_at DATETIME(3) NULL,
    last_error TEXT NULL,
    reference JSON NULL,
    generation INT UNSIGNED NOT NULL DEFAULT 1,
    takes_turn BOOLEAN NOT NULL DEFAULT TRUE,
    lease_owner VARCHAR(100) NULL,
    lease_until DATETIME(3) NULL,
    KEY by_subject (kind, subject_id),
    KEY by_turn (kind, dependency, state, priority, requested_at),
    KEY by_due (kind, dependency, state, next_attempt_at),
    KEY by_end (state, finished_at),
    CONSTRAINT task_state CHECK (state IN ('waiting','running','pending','failing','done','given-up'))
  ) ${OPTIONS}`,
  `CREATE TABLE IF NOT EXISTS breakers (
    dependency VARCHAR(300) NOT NULL PRIMARY KEY,
    failures INT UNSIGNED NOT NULL DEFAULT 0,
    failed_task VARCHAR(255) NULL,
    failed_step VARCHAR(8) NULL,
    open_since DATETIME(3) NULL,
    probe_at DATETIME(3) NULL,
    last_error TEXT NULL
  ) ${OPTIONS}`,
  'DROP TABLE IF EXISTS tape_endpoints',
  'ALTER TABLE replicas DROP CONSTRAINT IF EXISTS replica_state',
  `ALTER TABLE replicas ADD CONSTRAINT replica_state CHECK (state IN ('planned','requested','copying','submitted','staged',
    'staging','on-media','present','failed','missing','suspicious','replaced','deleting','deleted','expired'))`,
  // A copy that was requested, is in progress or has failed becomes a task.
  `INSERT IGNORE INTO tasks (kind, name, subject_id, run_id, dependency, needs, state, takes_turn, priority,
      requested_at, requested_by, started_at, attempts, next_attempt_at, last_error, reference, generation)
    SELECT 'tape-copy', CONCAT('tape-copy:', id), id, run_id, CONCAT('tape:', endpoint), CONCAT('store:', bucket),
      CASE WHEN state IN ('submitted','staged') THEN 'pending'
        WHEN state = 'failed' AND next_attempt_at IS NULL THEN 'given-up'
        WHEN state = 'failed' THEN 'failing' ELSE 'waiting' END,
      state <> 'staged', priority, requested_at, requested_by, started_at, attempts,
      COALESCE(next_attempt_at, requested_at), last_error, IF(reference IS NULL, NULL, JSON_OBJECT('job', reference)), generation
    FROM replicas WHERE kind = 'tape' AND state IN ('requested','copying','submitted','staged','failed')`,
  `UPDATE replicas SET state = IF(state = 'staged', state, 'planned'), lease_owner = NULL, lease_until = NULL, attempts = 0,
      next_attempt_at = NULL, last_error = NULL, reference = NULL
    WHERE kind = 'tape' AND state IN ('requested','copying','submitted','staged','failed')`,
  // Copies as readers see them: what is known of each, and how the work on it stands.
  `CREATE OR REPLACE VIEW copies AS
    SELECT r.id, r.identity, r.run_id, r.tag, r.run_number, r.bucket, r.object_key, r.kind, r.endpoint, r.url, r.name,
      r.size_bytes, r.md5, r.adler32, r.sha256,
      CASE WHEN r.state <> 'planned' THEN r.state WHEN t.state = 'running' THEN 'copying'
        WHEN t.state = 'pending' THEN 'submitted' WHEN t.state IN ('failing','given-up') THEN 'failed'
        ELSE 'requested' END AS state,
      COALESCE(t.priority, r.priority) AS priority,
      COALESCE(t.requested_at, r.requested_at) AS requested_at, r.requested_by,
      COALESCE(t.started_at, r.started_at) AS started_at,
      r.stored_at, r.verified_at, r.verified_by, r.checked_at, r.expires_at, r.deleted_at, r.updated_at,
      IF(t.id IS NULL, r.reference, JSON_VALUE(t.reference, '$.job') COLLATE utf8mb4_nopad_bin) AS reference,
      COALESCE(t.generation, r.generation) AS generation, COALESCE(t.attempts, r.attempts) AS attempts,
      CASE WHEN t.id IS NULL OR r.state NOT IN ('planned','staged') THEN r.next_attempt_at WHEN t.state IN ('running','done','given-up') THEN NULL
        WHEN t.state = 'waiting' THEN NULLIF(t.next_attempt_at, t.requested_at)
        ELSE t.next_attempt_at END AS next_attempt_at,
      IF(t.state <> 'done' AND r.state IN ('planned','staged'), t.last_error, r.last_error) AS last_error,
      r.lease_owner, r.lease_until
    FROM replicas r LEFT JOIN tasks t ON t.kind = 'tape-copy' AND t.subject_id = r.id`,
]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database)
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`DROP VIEW IF EXISTS copies`.execute(database)
  await sql`DROP TABLE IF EXISTS breakers`.execute(database)
  await sql`DROP TABLE IF EXISTS tasks`.execute(database)
}

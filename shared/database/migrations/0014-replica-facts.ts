/** Replicas hold facts alone: what the work on a copy needs is in its task, and a check says which states there are. */
import { type Kysely, sql } from 'kysely'

const STATES = {
  tape: ['planned', 'staged', 'on-media', 'missing', 'suspicious'],
  cloud: ['present', 'missing', 'suspicious', 'replaced', 'deleting', 'deleted'],
  local: ['present', 'missing', 'deleting', 'deleted'],
}

const CHECK = Object.entries(STATES)
  .map(
    ([kind, states]) => `(kind = '${kind}' AND state IN (${states.map((state) => `'${state}'`).join(',')}))`,
  )
  .join(' OR ')

const STATEMENTS = [
  // Before the columns go that the view of before reads.
  `CREATE OR REPLACE VIEW copies AS
    SELECT r.id, r.identity, r.run_id, r.tag, r.run_number, r.bucket, r.object_key, r.kind, r.endpoint, r.url, r.name,
      r.size_bytes, r.md5, r.adler32, r.sha256,
      CASE WHEN r.state <> 'planned' THEN r.state WHEN t.state = 'running' THEN 'copying'
        WHEN t.state = 'pending' THEN 'submitted' WHEN t.state IN ('failing','given-up') THEN 'failed'
        ELSE 'requested' END AS state,
      COALESCE(t.priority, r.priority) AS priority,
      COALESCE(t.requested_at, r.requested_at) AS requested_at, r.requested_by,
      COALESCE(t.started_at, r.started_at) AS started_at,
      r.stored_at, r.verified_at, r.verified_by, r.checked_at, CAST(NULL AS DATETIME(3)) AS expires_at, r.deleted_at, r.updated_at,
      JSON_VALUE(t.reference, '$.job') COLLATE utf8mb4_nopad_bin AS reference,
      COALESCE(t.generation, 1) AS generation, COALESCE(t.attempts, r.attempts) AS attempts,
      CASE WHEN t.id IS NULL OR r.state NOT IN ('planned','staged') THEN r.next_attempt_at WHEN t.state IN ('running','done','given-up') THEN NULL
        WHEN t.state = 'waiting' THEN NULLIF(t.next_attempt_at, t.requested_at)
        ELSE t.next_attempt_at END AS next_attempt_at,
      IF(t.state <> 'done' AND r.state IN ('planned','staged'), t.last_error, r.last_error) AS last_error,
      r.lease_owner, r.lease_until
    FROM replicas r LEFT JOIN tasks t ON t.kind = 'tape-copy' AND t.subject_id = r.id`,
  `ALTER TABLE replicas DROP COLUMN IF EXISTS reference, DROP COLUMN IF EXISTS generation, DROP COLUMN IF EXISTS expires_at,
    DROP CONSTRAINT IF EXISTS replica_kind, DROP CONSTRAINT IF EXISTS replica_state`,
  `ALTER TABLE replicas ADD CONSTRAINT replica_state CHECK (${CHECK})`,
]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database)
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE replicas DROP CONSTRAINT IF EXISTS replica_state,
    ADD COLUMN IF NOT EXISTS expires_at DATETIME(3) NULL, ADD COLUMN IF NOT EXISTS reference VARCHAR(255) NULL,
    ADD COLUMN IF NOT EXISTS generation INT UNSIGNED NOT NULL DEFAULT 1`.execute(database)
}

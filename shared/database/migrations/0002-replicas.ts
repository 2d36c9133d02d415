/**
 * Where the copies of every run are: replicas, what was deleted and on what evidence, the tape endpoints'
 * health, single events that were seen, and objects that nobody knows.
 *
 * What stands in the catalogue already gets its replica in the store: the bytes were read whole when it was
 * catalogued.
 */
import { type Kysely, sql } from 'kysely'

const OPTIONS = 'ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin'

const TABLES = [
  `CREATE TABLE IF NOT EXISTS replicas (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    identity BINARY(32) NOT NULL UNIQUE,
    run_id BIGINT UNSIGNED NOT NULL,
    tag VARCHAR(200) NOT NULL,
    run_number INT UNSIGNED NOT NULL,
    bucket VARCHAR(255) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    kind VARCHAR(8) NOT NULL,
    endpoint VARCHAR(255) NOT NULL,
    url VARCHAR(2048) NOT NULL,
    name VARCHAR(1300) NOT NULL,
    size_bytes BIGINT UNSIGNED NOT NULL,
    md5 CHAR(32) NOT NULL,
    adler32 CHAR(8) NOT NULL,
    sha256 CHAR(64) NOT NULL,
    state VARCHAR(16) NOT NULL,
    priority VARCHAR(8) NOT NULL DEFAULT 'live',
    requested_at DATETIME(3) NOT NULL,
    requested_by VARCHAR(100) NOT NULL,
    started_at DATETIME(3) NULL,
    stored_at DATETIME(3) NULL,
    verified_at DATETIME(3) NULL,
    verified_by VARCHAR(255) NULL,
    checked_at DATETIME(3) NULL,
    expires_at DATETIME(3) NULL,
    deleted_at DATETIME(3) NULL,
    updated_at DATETIME(3) NOT NULL,
    reference VARCHAR(255) NULL,
    generation INT UNSIGNED NOT NULL DEFAULT 1,
    attempts INT UNSIGNED NOT NULL DEFAULT 0,
    next_attempt_at DATETIME(3) NULL,
    last_error TEXT NULL,
    lease_owner VARCHAR(100) NULL,
    lease_until DATETIME(3) NULL,
    KEY by_run (run_id, kind),
    KEY by_object (bucket, object_key(480), kind),
    KEY by_work (kind, state, endpoint, priority, requested_at),
    KEY by_check (state, checked_at),
    KEY by_name (endpoint, name(400)),
    KEY by_age (kind, state, stored_at),
    CONSTRAINT replica_of_run FOREIGN KEY (run_id) REFERENCES runs (id),
    CONSTRAINT replica_kind CHECK (kind IN ('local','cloud','tape','recall')),
    CONSTRAINT replica_state CHECK (state IN ('requested','copying','submitted','staged','staging','on-media','present',
      'failed','missing','suspicious','replaced','deleting','deleted','expired'))
  )`,
  // Written before a deletion, ended after it: what was deleted, and which verified copy made that safe.
  `CREATE TABLE IF NOT EXISTS tombstones (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    replica_id BIGINT UNSIGNED NOT NULL,
    run_id BIGINT UNSIGNED NOT NULL,
    bucket VARCHAR(255) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    url VARCHAR(2048) NOT NULL,
    etag VARCHAR(255) NULL,
    version_id VARCHAR(1024) NULL,
    size_bytes BIGINT UNSIGNED NOT NULL,
    sha256 CHAR(64) NOT NULL,
    reason VARCHAR(255) NOT NULL,
    survivor_id BIGINT UNSIGNED NOT NULL,
    survivor_url VARCHAR(2048) NOT NULL,
    survivor_verified_by VARCHAR(255) NOT NULL,
    survivor_verified_at DATETIME(3) NOT NULL,
    written_by VARCHAR(100) NOT NULL,
    written_at DATETIME(3) NOT NULL,
    state VARCHAR(16) NOT NULL,
    ended_at DATETIME(3) NULL,
    note TEXT NULL,
    KEY by_replica (replica_id),
    KEY by_run (run_id),
    KEY by_state (state, written_at),
    CONSTRAINT tombstone_state CHECK (state IN ('intended','deleted','withdrawn')),
    CONSTRAINT tombstone_of_replica FOREIGN KEY (replica_id) REFERENCES replicas (id),
    CONSTRAINT tombstone_survivor FOREIGN KEY (survivor_id) REFERENCES replicas (id)
  )`,
  `CREATE TABLE IF NOT EXISTS tape_endpoints (
    endpoint VARCHAR(255) NOT NULL PRIMARY KEY,
    failures INT UNSIGNED NOT NULL DEFAULT 0,
    paused_until DATETIME(3) NULL,
    failing_since DATETIME(3) NULL,
    last_error TEXT NULL,
    last_success_at DATETIME(3) NULL
  )`,
  `CREATE TABLE IF NOT EXISTS seen_events (
    bucket VARCHAR(255) NOT NULL,
    object_key VARCHAR(512) NOT NULL,
    etag VARCHAR(255) NOT NULL,
    seen_at DATETIME(3) NOT NULL,
    PRIMARY KEY (bucket, object_key),
    KEY by_time (seen_at)
  )`,
  `CREATE TABLE IF NOT EXISTS dark_objects (
    identity BINARY(32) NOT NULL PRIMARY KEY,
    endpoint VARCHAR(255) NOT NULL,
    name VARCHAR(1300) NOT NULL,
    size_bytes BIGINT UNSIGNED NOT NULL,
    first_seen_at DATETIME(3) NOT NULL,
    last_seen_at DATETIME(3) NOT NULL,
    resolved_at DATETIME(3) NULL,
    KEY by_endpoint (endpoint, resolved_at)
  )`,
]

/** The identity is that of `replicaIdentity`: kind, endpoint (none for the store), object, contents. */
const CLOUD_REPLICAS = `INSERT IGNORE INTO replicas
  (identity, run_id, tag, run_number, bucket, object_key, kind, endpoint, url, name, size_bytes, md5, adler32, sha256, state,
   requested_at, requested_by, started_at, stored_at, verified_at, verified_by, checked_at, updated_at)
  SELECT UNHEX(SHA2(CONCAT_WS(CHAR(0 USING utf8mb4), 'cloud', '', f.bucket, f.object_key, f.sha256), 256)),
    f.run_id, r.tag, r.run_number, f.bucket, f.object_key, 'cloud', '', CONCAT('s3://', f.bucket, '/', f.object_key),
    CONCAT(f.bucket, '/', f.object_key), f.size_bytes, f.md5, f.adler32, f.sha256,
    IF(f.integrity = 'mismatch', 'suspicious', 'present'), f.catalogued_at, 'migration', f.catalogued_at, f.last_modified,
    IF(f.integrity = 'mismatch', NULL, f.catalogued_at), IF(f.integrity = 'mismatch', NULL, 'read whole when catalogued'),
    f.catalogued_at, f.catalogued_at
  FROM run_files f JOIN runs r ON r.id = f.run_id WHERE f.is_live = 1`

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const table of TABLES) await sql.raw(`${table} ${OPTIONS}`).execute(database)
  await sql.raw(CLOUD_REPLICAS).execute(database)
}

export async function down(database: Kysely<unknown>): Promise<void> {
  for (const table of TABLES.toReversed())
    await sql.raw(`DROP TABLE IF EXISTS ${table.split(' ')[5]}`).execute(database)
}

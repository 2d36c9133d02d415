/**
 * Ledger, runs, files, history, outbox and the legacy Runlog.
 *
 * Each statement may run again after a crash half-way: MariaDB commits every CREATE TABLE by itself. Keys are
 * compared byte by byte (utf8mb4_nopad_bin): `run1` and `RUN1`, or `a` and `a `, are different objects.
 */
import { type Kysely, sql } from 'kysely'

const OPTIONS = 'ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin'

const TABLES = [
  `CREATE TABLE IF NOT EXISTS arrivals (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    identity BINARY(32) NOT NULL UNIQUE,
    bucket VARCHAR(255) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    version_id VARCHAR(1024) NULL,
    etag VARCHAR(255) NOT NULL,
    size_bytes BIGINT UNSIGNED NULL,
    last_modified DATETIME(3) NULL,
    event_name VARCHAR(100) NOT NULL,
    event_time DATETIME(3) NULL,
    sequencer VARCHAR(255) NULL,
    source VARCHAR(32) NOT NULL,
    state VARCHAR(16) NOT NULL,
    outcome VARCHAR(32) NULL,
    reason TEXT NULL,
    attempts INT UNSIGNED NOT NULL DEFAULT 0,
    lease_owner VARCHAR(100) NULL,
    lease_until DATETIME(3) NULL,
    received_at DATETIME(3) NOT NULL,
    announced_at DATETIME(3) NOT NULL,
    finished_at DATETIME(3) NULL,
    KEY by_object (bucket, object_key(512)),
    KEY by_state (state, received_at),
    CONSTRAINT arrival_state CHECK (state IN ('received','processing','done','invalid','failed'))
  )`,
  `CREATE TABLE IF NOT EXISTS runs (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tag VARCHAR(200) NOT NULL,
    run_number INT UNSIGNED NOT NULL,
    started_epoch BIGINT UNSIGNED NOT NULL,
    is_current TINYINT(1) NOT NULL DEFAULT 0,
    complete TINYINT(1) NOT NULL DEFAULT 0,
    problem TEXT NULL,
    integrity VARCHAR(16) NOT NULL,
    file_count INT UNSIGNED NOT NULL DEFAULT 0,
    size_bytes BIGINT UNSIGNED NOT NULL DEFAULT 0,
    event_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
    first_event_at DATETIME NULL,
    last_event_at DATETIME NULL,
    started_at DATETIME NULL,
    stopped_at DATETIME NULL,
    pedestal TINYINT(1) NULL,
    description TEXT NULL,
    parameters JSON NOT NULL,
    catalogued_at DATETIME(3) NOT NULL,
    updated_at DATETIME(3) NOT NULL,
    UNIQUE KEY use_of_number (tag, run_number, started_epoch),
    KEY newest (tag, is_current, run_number),
    KEY by_start (started_at)
  )`,
  `CREATE TABLE IF NOT EXISTS run_files (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    run_id BIGINT UNSIGNED NOT NULL,
    bucket VARCHAR(255) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    version_id VARCHAR(1024) NULL,
    etag VARCHAR(255) NOT NULL,
    last_modified DATETIME(3) NOT NULL,
    subrun INT UNSIGNED NULL,
    compression VARCHAR(8) NOT NULL,
    size_bytes BIGINT UNSIGNED NOT NULL,
    uncompressed_bytes BIGINT UNSIGNED NOT NULL,
    md5 CHAR(32) NOT NULL,
    sha256 CHAR(64) NOT NULL,
    adler32 CHAR(8) NOT NULL,
    crc64nvme CHAR(16) NULL,
    integrity VARCHAR(16) NOT NULL,
    digests_compared JSON NOT NULL,
    complete TINYINT(1) NOT NULL,
    problem_code VARCHAR(64) NULL,
    problem TEXT NULL,
    problem_offset BIGINT UNSIGNED NULL,
    warnings JSON NOT NULL,
    event_count BIGINT UNSIGNED NOT NULL,
    events_by_id JSON NOT NULL,
    serial_gaps JSON NOT NULL,
    banks JSON NOT NULL,
    internal_events JSON NOT NULL,
    first_event_at DATETIME NULL,
    last_event_at DATETIME NULL,
    started_epoch BIGINT UNSIGNED NOT NULL,
    stopped_epoch BIGINT UNSIGNED NULL,
    camera JSON NOT NULL,
    digitizers JSON NOT NULL,
    parameters JSON NOT NULL,
    is_live TINYINT(1) NOT NULL,
    superseded_at DATETIME(3) NULL,
    catalogued_at DATETIME(3) NOT NULL,
    KEY by_run (run_id, is_live),
    KEY by_object (bucket, object_key(512), is_live),
    CONSTRAINT file_of_run FOREIGN KEY (run_id) REFERENCES runs (id)
  )`,
  `CREATE TABLE IF NOT EXISTS run_history (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    run_id BIGINT UNSIGNED NOT NULL,
    at DATETIME(3) NOT NULL,
    what VARCHAR(64) NOT NULL,
    detail TEXT NOT NULL,
    KEY by_run (run_id, id),
    CONSTRAINT history_of_run FOREIGN KEY (run_id) REFERENCES runs (id)
  )`,
  `CREATE TABLE IF NOT EXISTS outbox (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    queue VARCHAR(80) NOT NULL,
    body MEDIUMTEXT NOT NULL,
    run_id BIGINT UNSIGNED NULL,
    created_at DATETIME(3) NOT NULL,
    sent_at DATETIME(3) NULL,
    KEY unsent (sent_at, id),
    KEY by_run (run_id)
  )`,
  `CREATE TABLE IF NOT EXISTS parked_notifications (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    received_at DATETIME(3) NOT NULL,
    reason TEXT NOT NULL,
    body MEDIUMTEXT NOT NULL,
    digest BINARY(32) NOT NULL UNIQUE,
    times INT UNSIGNED NOT NULL DEFAULT 1
  )`,
  `CREATE TABLE IF NOT EXISTS reconciliations (
    bucket VARCHAR(255) NOT NULL,
    prefix VARCHAR(512) NOT NULL,
    start_after VARCHAR(1024) NULL,
    started_at DATETIME(3) NOT NULL,
    updated_at DATETIME(3) NOT NULL,
    finished_at DATETIME(3) NULL,
    listed BIGINT UNSIGNED NOT NULL DEFAULT 0,
    enqueued BIGINT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (bucket, prefix)
  )`,
  // The 38 columns of the production logbook in their order, then the tag that used to be a database of its
  // own. file_size is BIGINT: the old INT lost every size over 2.1 GB.
  `CREATE TABLE IF NOT EXISTS Runlog (
    run_number INT UNSIGNED NOT NULL,
    run_description TEXT NULL,
    start_time DATETIME NULL,
    exposure_sec DOUBLE NULL,
    GEM3_V FLOAT NULL,
    GEM2_V FLOAT NULL,
    GEM1_V FLOAT NULL,
    T2_V FLOAT NULL,
    T1_V FLOAT NULL,
    DRIFT_V FLOAT NULL,
    OFFSET_V FLOAT NULL,
    PMT1_V FLOAT NULL,
    PMT2_V FLOAT NULL,
    PMT3_V FLOAT NULL,
    PMT4_V FLOAT NULL,
    HV_STATE INT UNSIGNED NULL,
    storage_local_status INT NOT NULL DEFAULT -1,
    storage_cloud_status INT NOT NULL DEFAULT -1,
    storage_tape_status INT NOT NULL DEFAULT -1,
    total_gas_flow FLOAT NULL,
    sequence_filename VARCHAR(255) NULL,
    sequencer_running BOOLEAN NULL,
    pedestal_run BOOLEAN NULL,
    source_type INT NULL,
    source_position FLOAT NULL,
    discrimination_threshold INT NULL,
    trigger_veto_time FLOAT NULL,
    trigger_logic INT NULL,
    run_type INT NULL,
    drs4_correction_active BOOLEAN NULL,
    shielding_configuration INT NULL,
    pmt_acquisition BOOLEAN NULL,
    stop_time DATETIME NULL,
    number_of_events DOUBLE NULL,
    file_size BIGINT NOT NULL DEFAULT -1,
    file_checksum VARCHAR(32) NULL,
    file_s3_tag VARCHAR(200) NULL,
    online_reco_status INT NOT NULL DEFAULT -1,
    tag VARCHAR(200) NOT NULL,
    PRIMARY KEY (tag, run_number)
  )`,
]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const table of TABLES) await sql.raw(`${table} ${OPTIONS}`).execute(database)
}

export async function down(database: Kysely<unknown>): Promise<void> {
  for (const table of TABLES.toReversed())
    await sql.raw(`DROP TABLE IF EXISTS ${table.split(' ')[5]}`).execute(database)
}

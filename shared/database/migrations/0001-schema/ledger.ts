/** What arrived in the stores, and how far the listings of the buckets are. */
export const LEDGER: readonly string[] = [
  `arrivals (
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
    restarts INT UNSIGNED NOT NULL DEFAULT 0,
    next_attempt_at DATETIME(3) NULL,
    lease_owner VARCHAR(100) NULL,
    lease_until DATETIME(3) NULL,
    received_at DATETIME(3) NOT NULL,
    announced_at DATETIME(3) NOT NULL,
    finished_at DATETIME(3) NULL,
    KEY by_object (bucket, object_key(512)),
    KEY by_state (state, received_at),
    KEY by_due (bucket, next_attempt_at),
    CONSTRAINT arrival_state CHECK (state IN ('received','processing','done','invalid','failed'))
  )`,
  `parked_notifications (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    received_at DATETIME(3) NOT NULL,
    reason TEXT NOT NULL,
    body MEDIUMTEXT NOT NULL,
    digest BINARY(32) NOT NULL UNIQUE,
    times INT UNSIGNED NOT NULL DEFAULT 1
  )`,
  `reconciliations (
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
  `seen_events (
    bucket VARCHAR(255) NOT NULL,
    object_key VARCHAR(512) NOT NULL,
    etag VARCHAR(255) NOT NULL,
    seen_at DATETIME(3) NOT NULL,
    PRIMARY KEY (bucket, object_key),
    KEY by_time (seen_at)
  )`,
]

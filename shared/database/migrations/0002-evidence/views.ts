/** The views of 0001-schema, with the evidence. */
export const VIEWS: readonly string[] = [
  `copies AS
    SELECT r.id, r.identity, r.run_id, r.tag, r.run_number, r.bucket, r.object_key, r.kind, r.endpoint, r.url, r.name,
      r.size_bytes, r.md5, r.adler32, r.sha256,
      CASE WHEN r.state <> 'planned' THEN r.state WHEN t.state = 'running' THEN 'copying'
        WHEN t.state = 'pending' THEN 'submitted' WHEN t.state IN ('failing','given-up') THEN 'failed'
        ELSE 'requested' END AS state,
      COALESCE(t.priority, r.priority) AS priority,
      COALESCE(t.requested_at, r.requested_at) AS requested_at, r.requested_by,
      COALESCE(t.started_at, r.started_at) AS started_at,
      r.stored_at, r.verified_at, r.verified_by, r.verified_evidence, r.doubted_evidence, r.checked_at,
      CAST(NULL AS DATETIME(3)) AS expires_at, r.deleted_at, r.updated_at,
      JSON_VALUE(t.reference, '$.job') COLLATE utf8mb4_nopad_bin AS reference,
      COALESCE(t.generation, 1) AS generation, COALESCE(t.attempts, r.attempts) AS attempts,
      CASE WHEN t.id IS NULL OR r.state NOT IN ('planned','staged') THEN r.next_attempt_at WHEN t.state IN ('running','done','given-up') THEN NULL
        WHEN t.state = 'waiting' THEN NULLIF(t.next_attempt_at, t.requested_at)
        ELSE t.next_attempt_at END AS next_attempt_at,
      IF(t.state <> 'done' AND r.state IN ('planned','staged'), t.last_error, r.last_error) AS last_error,
      r.lease_owner, r.lease_until
    FROM replicas r LEFT JOIN tasks t ON t.kind = 'tape-copy' AND t.subject_id = r.id`,
  `shown_recalls AS
    SELECT r.id, r.identity, r.run_id, r.tag, r.run_number, r.bucket, r.object_key, 'recall' AS kind, '' AS endpoint,
      CONCAT('s3://', r.bucket, '/', r.object_key) AS url, CONCAT(r.bucket, '/', r.object_key) AS name,
      r.size_bytes, r.md5, r.adler32, r.sha256,
      CASE WHEN r.state <> 'planned' THEN r.state WHEN t.state = 'running' THEN 'copying' WHEN t.state = 'pending' THEN 'staging'
        WHEN t.id IS NULL OR t.state IN ('failing','given-up') OR (t.attempts > 0 AND t.last_error IS NOT NULL) THEN 'failed'
        WHEN JSON_VALUE(t.reference, '$.stage') IS NOT NULL THEN 'staging' ELSE 'requested' END AS state,
      COALESCE(t.priority, 'live') AS priority, r.requested_at, r.requested_by, CAST(NULL AS DATETIME(3)) AS started_at,
      r.stored_at, r.verified_at, r.verified_by, r.verified_evidence, CAST(NULL AS CHAR(16)) AS doubted_evidence, r.checked_at,
      r.expires_at, CAST(NULL AS DATETIME(3)) AS deleted_at, r.updated_at,
      IF(r.state = 'planned', JSON_VALUE(t.reference, '$.stage') COLLATE utf8mb4_nopad_bin, CONCAT('object:', r.etag)) AS reference,
      r.generation, CASE WHEN r.state <> 'planned' OR t.id IS NULL THEN 0
        WHEN t.state IN ('running','pending') AND t.attempts > 0 THEN t.attempts - 1 ELSE t.attempts END AS attempts,
      CASE WHEN r.state <> 'planned' OR t.state IN ('running','done','given-up') THEN NULL
        WHEN t.state = 'waiting' THEN NULLIF(t.next_attempt_at, t.requested_at) ELSE t.next_attempt_at END AS next_attempt_at,
      IF(r.state = 'planned', t.last_error, NULL) AS last_error, t.lease_owner, t.lease_until,
      r.etag
    FROM recalls r LEFT JOIN tasks t ON t.kind = 'recall' AND t.subject_id = r.id`,
]

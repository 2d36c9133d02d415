/** Copies to tape in every state of their work, for tests that write rows instead of playing what led there. */
import { sql } from 'kysely'
import type { Database } from '../../shared/database/connect.ts'

/** Gives copies on tape that were written in a state of work their task, as the functions leave it. */
export async function giveTasks(database: Database): Promise<void> {
  await sql`INSERT INTO tasks (kind, name, subject_id, run_id, dependency, state, priority, requested_at,
      requested_by, started_at, attempts, next_attempt_at, last_error, generation)
    SELECT 'tape-copy', CONCAT('tape-copy:', id), id, run_id, CONCAT('tape:', endpoint),
      CASE state WHEN 'submitted' THEN 'pending' WHEN 'copying' THEN 'running' WHEN 'failed' THEN 'failing' ELSE 'waiting' END,
      priority, requested_at, requested_by, started_at, attempts, COALESCE(next_attempt_at, requested_at), last_error,
      generation
    FROM replicas WHERE kind = 'tape' AND state IN ('requested','copying','submitted','failed')
    ON DUPLICATE KEY UPDATE state = VALUES(state), attempts = VALUES(attempts), last_error = VALUES(last_error)`.execute(
    database,
  )
  await sql`UPDATE replicas SET state = 'planned', lease_owner = NULL, lease_until = NULL
    WHERE kind = 'tape' AND state IN ('requested','copying','submitted','failed')`.execute(database)
}

/**
 * Which of a run's files count, the open problems of each run, and the run that the name of an invalid object
 * states (ADR 20). The values of existing rows follow from what the rows state already; a misnamed file that
 * was counted so far is replaced when its run changes next, or is replayed.
 */
import { type Kysely, sql } from 'kysely'

const STATEMENTS: readonly string[] = [
  `ALTER TABLE run_files ADD COLUMN IF NOT EXISTS counts TINYINT(1) NOT NULL DEFAULT 1`,
  `ALTER TABLE runs ADD COLUMN IF NOT EXISTS problems VARCHAR(255) NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS has_problem TINYINT(1) NOT NULL DEFAULT 0`,
  `ALTER TABLE arrivals ADD COLUMN IF NOT EXISTS named_tag VARCHAR(200) NULL,
    ADD COLUMN IF NOT EXISTS named_run INT UNSIGNED NULL`,
  // As aggregated before: of several files of the same part the complete one, then the newest.
  `UPDATE run_files f JOIN (
    SELECT id, ROW_NUMBER() OVER (PARTITION BY run_id, subrun ORDER BY complete DESC, last_modified DESC, object_key) AS place
    FROM run_files WHERE is_live = 1) AS ranked ON ranked.id = f.id
    SET f.counts = 0 WHERE ranked.place > 1`,
  `UPDATE runs r SET r.problems = CONCAT_WS(',',
      IF(r.file_count = 0, 'lost', IF(r.complete = 0, 'incomplete', NULL)),
      IF(r.file_count > 0 AND r.integrity = 'mismatch', 'disputed', NULL),
      IF(r.file_count > 0 AND EXISTS (SELECT 1 FROM run_files f WHERE f.run_id = r.id AND f.is_live = 1 AND f.counts = 1
        AND f.problem_code IS NULL AND JSON_VALUE(f.events_by_id, '$."1"') > 0 AND f.banks NOT REGEXP '"CAM[0-9]"'),
        'no-camera', NULL),
      IF(EXISTS (SELECT 1 FROM run_files f WHERE f.run_id = r.id AND f.is_live = 1 AND f.counts = 0), 'extra-file', NULL),
      IF(r.cloud = 'suspicious', 'suspicious-copy', NULL),
      IF(r.file_count > 0 AND r.cloud = 'absent', 'missing-copy', NULL),
      IF(r.tape = 'failed', 'tape-failed', NULL))
    WHERE r.first_file_at IS NOT NULL AND r.problems = ''`,
  `UPDATE runs SET has_problem = 1 WHERE problems <> '' AND has_problem = 0`,
  `UPDATE arrivals SET
      named_tag = IF(LOCATE('/', object_key) = 0, NULL,
        LEFT(object_key, CHAR_LENGTH(object_key) - 1 - CHAR_LENGTH(SUBSTRING_INDEX(object_key, '/', -1)))),
      named_run = REGEXP_SUBSTR(SUBSTRING_INDEX(object_key, '/', -1), '[0-9]{1,9}')
    WHERE state = 'invalid' AND named_run IS NULL AND CHAR_LENGTH(object_key) <= 200
      AND SUBSTRING_INDEX(object_key, '/', -1) REGEXP '^[^0-9]*[0-9]{1,9}([^0-9]|$)'`,
  `CREATE INDEX IF NOT EXISTS by_named_run ON arrivals (named_run, named_tag)`,
  `CREATE INDEX IF NOT EXISTS by_tag_problem ON runs (tag, is_current, has_problem, run_number, problems)`,
]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database)
}

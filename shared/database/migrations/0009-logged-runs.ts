/**
 * Runs that the DAQ's logger knows before a file of theirs arrives. `Runlog.logged_at` is not null while there
 * is something of the logger in the row that Cygnet has not read: statements that do not name it, as the
 * logger's, leave the time there. It is invisible: the old tools' `SELECT *` has the columns it always had.
 */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS logger_parameters JSON NULL AFTER parameters,
    ADD COLUMN IF NOT EXISTS first_file_at DATETIME(3) NULL AFTER integrity`.execute(database)
  await sql`UPDATE runs SET first_file_at = catalogued_at`.execute(database)
  await sql`ALTER TABLE Runlog
    ADD COLUMN IF NOT EXISTS logged_at DATETIME(3) NULL INVISIBLE
      DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    ADD INDEX IF NOT EXISTS logged (logged_at)`.execute(database)
  await sql`UPDATE Runlog JOIN runs ON runs.tag = Runlog.tag AND runs.run_number = Runlog.run_number
    SET Runlog.logged_at = NULL`.execute(database)
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE Runlog DROP INDEX IF EXISTS logged, DROP COLUMN IF EXISTS logged_at`.execute(database)
  await sql`ALTER TABLE runs
    DROP COLUMN IF EXISTS first_file_at, DROP COLUMN IF EXISTS logger_parameters`.execute(database)
}

/**
 * The schema. From here on migrations only add (ADR 16).
 *
 * Each statement may run again after a crash in between, since MariaDB commits every CREATE TABLE by itself. Keys
 * are compared byte by byte (utf8mb4_nopad_bin): `run1` and `RUN1`, or `a` and `a `, are different objects.
 */
import { type Kysely, sql } from 'kysely'
import { ACCESS } from './access.ts'
import { COPIES } from './copies.ts'
import { LEDGER } from './ledger.ts'
import { RUNLOG } from './runlog.ts'
import { RUNS } from './runs.ts'
import { VIEWS } from './views.ts'
import { WORK } from './work.ts'

export const OPTIONS = 'ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin'

/** Tables before those that refer to them. */
const TABLES = [...LEDGER, ...RUNS, ...COPIES, ...WORK, ...ACCESS, ...RUNLOG]

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const table of TABLES)
    await sql.raw(`CREATE TABLE IF NOT EXISTS ${table} ${OPTIONS}`).execute(database)
  for (const view of VIEWS) await sql.raw(`CREATE OR REPLACE VIEW ${view}`).execute(database)
}

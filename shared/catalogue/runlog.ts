/**
 * The legacy Runlog, written from the catalogue: the only place that knows the old status integers.
 *
 * storage_local_status stays what the DAQ's ODB says (-1 running, 0 written): we do not see the DAQ's disk.
 * storage_cloud_status is 1 when the object was read whole and no digest disagrees, -2 when one does, -1 when it is not there.
 * storage_tape_status and online_reco_status start at -1 and are reset when the run's bytes change.
 */
import { sql, type Transaction } from 'kysely'
import { runlogColumns } from '../extraction/run-parameters.ts'
import type { Run, Schema } from './schema.ts'

/** Columns that Cygnet itself answers for, whatever the ODB says. */
const OWN_COLUMNS = new Set([
  'run_number',
  'storage_cloud_status',
  'storage_tape_status',
  'online_reco_status',
  'file_size',
  'file_checksum',
  'file_s3_tag',
])

export async function writeRunlog(
  trx: Transaction<Schema>,
  run: Run,
  options: { readonly md5: string | null; readonly reset: boolean },
): Promise<void> {
  const { parameters } = run
  const present = run.file_count > 0
  const row: Record<string, number | string | null> = { tag: run.tag, run_number: run.run_number }
  for (const column of runlogColumns) if (!OWN_COLUMNS.has(column.name)) row[column.name] = parameters[column.name] ?? null
  row.storage_local_status = parameters.storage_local_status ?? -1
  row.storage_cloud_status = present ? (run.integrity === 'mismatch' ? -2 : 1) : -1
  row.file_size = present ? run.size_bytes : -1
  row.file_checksum = present ? options.md5 : null
  row.file_s3_tag = present ? run.tag : null
  if (options.reset) Object.assign(row, { storage_tape_status: -1, online_reco_status: -1 })
  const columns = Object.keys(row)
  const names = sql.join(columns.map((column) => sql.ref(column)))
  const values = sql.join(Object.values(row))
  const updates = sql.join(columns.map((column) => sql`${sql.ref(column)} = VALUES(${sql.ref(column)})`))
  await sql`INSERT INTO Runlog (${names}) VALUES (${values}) ON DUPLICATE KEY UPDATE ${updates}`.execute(trx)
}

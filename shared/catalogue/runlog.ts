/**
 * The legacy Runlog, written from the catalogue: the only place that knows the old status integers.
 *
 * storage_local_status stays what the DAQ's ODB says (-1 running, 0 written): we do not see the DAQ's disk.
 * storage_cloud_status is 1 when the object was read whole and no digest disagrees, -2 when one does, -1 when it is not there.
 * storage_tape_status and online_reco_status start at -1 and are reset when the run's bytes change.
 */
import { sql, type Transaction } from 'kysely'
import { runlogColumns } from '../extraction/run-parameters.ts'
import type { Integrity, Parameters, Schema } from './schema.ts'

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

export interface RunlogEntry {
  readonly tag: string
  readonly runNumber: number
  readonly parameters: Parameters
  /** Whether a file of the run is in the store. */
  readonly present: boolean
  readonly sizeBytes: number
  /** Null for a run of several files: the old column has room for one. */
  readonly md5: string | null
  readonly integrity: Integrity
  /** Forget what was done with other bytes. */
  readonly reset: boolean
}

export async function writeRunlog(trx: Transaction<Schema>, entry: RunlogEntry): Promise<void> {
  const { parameters, present } = entry
  const row: Record<string, number | string | null> = { tag: entry.tag, run_number: entry.runNumber }
  for (const column of runlogColumns) if (!OWN_COLUMNS.has(column.name)) row[column.name] = parameters[column.name] ?? null
  row.storage_local_status = parameters.storage_local_status ?? -1
  row.storage_cloud_status = present ? (entry.integrity === 'mismatch' ? -2 : 1) : -1
  row.file_size = present ? entry.sizeBytes : -1
  row.file_checksum = present ? entry.md5 : null
  row.file_s3_tag = present ? entry.tag : null
  if (entry.reset) Object.assign(row, { storage_tape_status: -1, online_reco_status: -1 })
  const columns = Object.keys(row)
  const names = sql.join(columns.map((column) => sql.ref(column)))
  const values = sql.join(Object.values(row))
  const updates = sql.join(columns.map((column) => sql`${sql.ref(column)} = VALUES(${sql.ref(column)})`))
  await sql`INSERT INTO Runlog (${names}) VALUES (${values}) ON DUPLICATE KEY UPDATE ${updates}`.execute(trx)
}

/**
 * The legacy Runlog, written from the catalogue: the only place that knows the old status integers.
 *
 * storage_local_status is what a program on the DAQ's machine told us (1 present, 0 deleted), else what the
 * DAQ's ODB says (-1 running, 0 written). storage_cloud_status: 1 in the store, 2 deleted after its copy on
 * tape was verified (or in part), -2 a checksum disagrees, -1 not there. storage_tape_status: 1 only when
 * every file was verified on the medium, -2 when that fails, else -1. online_reco_status starts at -1 and is
 * reset when the run's bytes change.
 */
import { sql, type Transaction } from 'kysely'
import type { Parameters, Run, Schema } from '../database/schema.ts'
import { type StorageSummary, storageOf } from '../database/storage-summary.ts'
import { runlogColumns } from '../extraction/run-parameters.ts'
import type { RunId } from '../run.ts'

/** Columns that Cygnet itself answers for, whatever the ODB says. */
const OWN_COLUMNS = new Set([
  'run_number',
  'storage_local_status',
  'storage_cloud_status',
  'storage_tape_status',
  'online_reco_status',
  'file_size',
  'file_checksum',
  'file_s3_tag',
])

/** The logger writes it, too, until a program on the DAQ's machine tells of the file. */
const LOCAL_STATUS = 'storage_local_status'

interface RunlogStorage extends RunId {
  readonly parameters: Parameters
  readonly storage: StorageSummary
}

export interface RunlogEntry extends RunlogStorage {
  readonly file: {
    readonly fileCount: number
    readonly sizeBytes: number
    /** Null for a run of several files: the old column has room for one. */
    readonly md5: string | null
  }
  /** Forget what was reconstructed from other bytes. */
  readonly resetReco: boolean
}

const CLOUD = { absent: -1, present: 1, suspicious: -2, deleted: 2, partly: 2 } as const
const TAPE = { none: -1, 'under-way': -1, 'on-media': 1, failed: -2 } as const
const LOCAL = { present: 1, deleted: 0 } as const

const statusColumns = ({ storage, parameters }: RunlogStorage) => ({
  storage_local_status:
    storage.local === null ? (parameters.storage_local_status ?? -1) : LOCAL[storage.local],
  storage_cloud_status: CLOUD[storage.cloud],
  storage_tape_status: TAPE[storage.tape],
})

export async function writeRunlog(trx: Transaction<Schema>, entry: RunlogEntry): Promise<void> {
  const row: Record<string, number | string | null> = { tag: entry.tag, run_number: entry.runNumber }
  for (const column of runlogColumns)
    if (!OWN_COLUMNS.has(column.name)) row[column.name] = entry.parameters[column.name] ?? null
  Object.assign(row, statusColumns(entry))
  const { fileCount, sizeBytes, md5 } = entry.file
  row.file_size = fileCount === 0 ? -1 : sizeBytes
  row.file_checksum = md5
  row.file_s3_tag = fileCount === 0 ? null : entry.tag
  if (entry.resetReco) row.online_reco_status = -1
  row.logged_at = null
  const columns = Object.keys(row)
  const names = sql.join(columns.map((column) => sql.ref(column)))
  const values = sql.join(Object.values(row))
  const updates = sql.join(columns.map((column) => sql`${sql.ref(column)} = VALUES(${sql.ref(column)})`))
  await sql`INSERT INTO Runlog (${names}) VALUES (${values}) ON DUPLICATE KEY UPDATE ${updates}`.execute(
    trx.withoutPlugins(),
  )
}

/**
 * What the DAQ's logger wrote into a run's row since Cygnet last wrote or took it, null when nothing; the row
 * counts as taken, and is locked until the transaction ends.
 *
 * Cygnet's own statements name the column `logged_at`, the logger's don't: theirs leave the time there. The
 * row still holds what Cygnet wrote before, of the run that is `shown` (null for none): of the same run, what
 * is unchanged is not the logger's; of another run, that holds for the columns of the end of run, which the
 * logger leaves alone when a run begins.
 */
export async function takeLoggedRow(
  trx: Transaction<Schema>,
  run: RunId,
  shown: Run | null,
): Promise<{ readonly startTime: Parameters[string]; readonly values: Parameters } | null> {
  const columns = runlogColumns.filter(({ name }) => !OWN_COLUMNS.has(name) || name === LOCAL_STATUS)
  // Times as text: they are local times of the DAQ, which the driver would take for UTC.
  const selected = sql.join(
    columns.map(({ name, sqlType }) =>
      sqlType === 'DATETIME'
        ? sql`NULLIF(CAST(${sql.id(name)} AS CHAR), '0000-00-00 00:00:00') AS ${sql.id(name)}`
        : sql.id(name),
    ),
  )
  const { rows } = await sql<Parameters>`SELECT ${selected} FROM Runlog
    WHERE tag = ${run.tag} AND run_number = ${run.runNumber} AND logged_at IS NOT NULL FOR UPDATE`.execute(
    trx.withoutPlugins(),
  )
  const [row] = rows
  if (row === undefined) return null
  await sql`UPDATE Runlog SET logged_at = NULL
    WHERE tag = ${run.tag} AND run_number = ${run.runNumber}`.execute(trx)
  const written: Parameters | null = shown && {
    ...shown.parameters,
    ...statusColumns({ ...run, parameters: shown.parameters, storage: storageOf(shown) }),
  }
  const sameRun = row.start_time === written?.start_time
  const news = columns.filter(
    ({ name, dump, sqlType }) =>
      !isUnset(row[name]) && ((dump === 'begin' && !sameRun) || !isSame(row[name], written?.[name], sqlType)),
  )
  return news.length === 0
    ? null
    : {
        startTime: row.start_time ?? null,
        values: Object.fromEntries(news.map(({ name }) => [name, row[name] ?? null])),
      }
}

const isUnset = (value: Parameters[string] | undefined) => value === null || value === undefined

/** A FLOAT is read back with six digits. */
function isSame(
  value: Parameters[string] | undefined,
  written: Parameters[string] | undefined,
  sqlType: string,
) {
  if (sqlType !== 'FLOAT' || isUnset(value) || isUnset(written)) return value === written
  return Number(value).toPrecision(6) === Number(written).toPrecision(6)
}

/** The statuses of the copies alone. */
export async function writeRunlogStorage(trx: Transaction<Schema>, entry: RunlogStorage): Promise<void> {
  const {
    storage_local_status: local,
    storage_cloud_status: cloud,
    storage_tape_status: tape,
  } = statusColumns(entry)
  await sql`UPDATE Runlog SET storage_local_status = ${local}, storage_cloud_status = ${cloud}, storage_tape_status = ${tape}, logged_at = logged_at
    WHERE tag = ${entry.tag} AND run_number = ${entry.runNumber}`.execute(trx)
}

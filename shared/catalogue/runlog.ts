/**
 * The legacy Runlog, written from the catalogue. Only this file uses the old status integers.
 *
 * storage_local_status: what a program on the DAQ's machine reported after it read the file (1 present, 0
 * deleted), else the value of the DAQ's ODB (-1 running, 0 written), which never verifies the file (1). storage_cloud_status: 1 in the store, 2 deleted (all or some
 * files) after the copy on tape was verified, -2 a checksum disagrees, -1 not there. storage_tape_status: 1
 * only if every file was verified on the medium, -2 if that failed, else -1. online_reco_status starts at -1
 * and is reset when the bytes of the run change.
 */
import { sql, type Transaction } from 'kysely'
import type { Parameters, Run, Schema } from '../database/schema.ts'
import { type StorageSummary, storageOf } from '../database/storage-summary.ts'
import { runlogColumns } from '../extraction/run-parameters.ts'
import type { RunId } from '../run.ts'
import { wellFormed } from '../text.ts'

/** Columns that Cygnet sets itself, whatever the ODB states. */
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

/** The logger writes this column too, until a program on the DAQ's machine reports the file. */
const LOCAL_STATUS = 'storage_local_status'

interface RunlogStorage extends RunId {
  readonly parameters: Parameters
  readonly storage: StorageSummary
}

export interface RunlogEntry extends RunlogStorage {
  /** Values of the other columns: parameters of the same run, or of a later one that awaits its file. */
  readonly shownParameters: Parameters
  readonly file: {
    readonly fileCount: number
    readonly sizeBytes: number
    /** Null for a run of several files: the old column has room for one. */
    readonly md5: string | null
  }
  /** Reset the status of the reconstruction, which was of other bytes. */
  readonly resetReco: boolean
}

const CLOUD = { absent: -1, present: 1, suspicious: -2, deleted: 2, partly: 2 } as const
const TAPE = { none: -1, 'under-way': -1, 'on-media': 1, failed: -2 } as const
const LOCAL = { present: 1, deleted: 0 } as const

const statusColumns = ({ storage, parameters }: RunlogStorage) => ({
  storage_local_status: storage.local === null ? statedByDaq(parameters) : LOCAL[storage.local],
  storage_cloud_status: CLOUD[storage.cloud],
  storage_tape_status: TAPE[storage.tape],
})

const WRITTEN = 0
const statedByDaq = ({ storage_local_status: status }: Parameters) =>
  status === 1 ? WRITTEN : (status ?? -1)

export async function writeRunlog(trx: Transaction<Schema>, entry: RunlogEntry): Promise<void> {
  const row: Record<string, number | string | null> = { tag: entry.tag, run_number: entry.runNumber }
  for (const column of runlogColumns)
    if (!OWN_COLUMNS.has(column.name)) row[column.name] = entry.shownParameters[column.name] ?? null
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

export interface LoggedRow {
  readonly startTime: Parameters[string]
  /**
   * The values that the logger wrote, if the row describes this run. Values that the row had before are left
   * out; but at the begin of another run the logger leaves the columns of the end unchanged.
   */
  readonly valuesFor: (generation: Pick<Run, 'parameters'>) => Parameters
}

/**
 * Reads what the DAQ's logger wrote into a run's row since Cygnet last wrote or read it; null if nothing. The
 * row then counts as read, and is locked until the transaction ends.
 *
 * Cygnet's statements set the column `logged_at`. The logger's statements do not name it, so the server
 * writes the time there. The other values of the row are those that Cygnet wrote before: the states of the
 * copies of the `current` run and the parameters of the `shown` run (`before` is null if there was no run).
 */
export async function takeLoggedRow(
  trx: Transaction<Schema>,
  run: RunId,
  before: { readonly current: Run; readonly shown: Run } | null,
): Promise<LoggedRow | null> {
  const columns = runlogColumns.filter(({ name }) => !OWN_COLUMNS.has(name) || name === LOCAL_STATUS)
  // Times as text: they are local times of the DAQ, and the driver would read them as UTC.
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
  const [found] = rows
  if (found === undefined) return null
  const row = Object.fromEntries(
    Object.entries(found).map(([name, value]) => [
      name,
      typeof value === 'string' ? wellFormed(value) : value,
    ]),
  )
  await sql`UPDATE Runlog SET logged_at = NULL
    WHERE tag = ${run.tag} AND run_number = ${run.runNumber}`.execute(trx)
  const written: Parameters = before === null ? {} : writtenOf(run, before)
  const differing = (values: Parameters) =>
    columns.filter(({ name, sqlType }) => !isUnset(row[name]) && !isSame(row[name], values[name], sqlType))
  const news = differing(written)
  if (news.length === 0) return null
  return {
    startTime: row.start_time ?? null,
    valuesFor: ({ parameters }) => {
      const stated = differing(parameters).filter(
        ({ name, dump }) => dump === 'begin' && name !== LOCAL_STATUS,
      )
      const others = news.filter(({ name, dump }) => dump === 'end' || name === LOCAL_STATUS)
      return Object.fromEntries([...stated, ...others].map(({ name }) => [name, row[name] ?? null]))
    },
  }
}

const writtenOf = (run: RunId, { current, shown }: { readonly current: Run; readonly shown: Run }) => ({
  ...shown.parameters,
  ...statusColumns({ ...run, parameters: current.parameters, storage: storageOf(current) }),
})

const isUnset = (value: Parameters[string] | undefined) => value === null || value === undefined

/** MariaDB returns a FLOAT with six digits. */
function isSame(
  value: Parameters[string] | undefined,
  written: Parameters[string] | undefined,
  sqlType: string,
) {
  if (sqlType !== 'FLOAT' || isUnset(value) || isUnset(written)) return value === written
  return Number(value).toPrecision(6) === Number(written).toPrecision(6)
}

/** Writes only the statuses of the copies. */
export async function writeRunlogStorage(trx: Transaction<Schema>, entry: RunlogStorage): Promise<void> {
  const {
    storage_local_status: local,
    storage_cloud_status: cloud,
    storage_tape_status: tape,
  } = statusColumns(entry)
  await sql`UPDATE Runlog SET storage_local_status = ${local}, storage_cloud_status = ${cloud}, storage_tape_status = ${tape}, logged_at = logged_at
    WHERE tag = ${entry.tag} AND run_number = ${entry.runNumber}`.execute(trx)
}

/** Runs and their files: the run's values kept in step with its files and with what the logger wrote. */
import type { Selectable, Transaction } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { Parameters, Run, RunFile, RunFilesTable, Schema } from '../database/schema.ts'
import type { RunId } from '../run.ts'
import { epochOfDaqTime } from '../time/daq-time.ts'
import { aggregateRun, type FileSummary, type RunSummary } from './aggregate.ts'
import { storageOfRun } from './replicas.ts'
import { mergeParameters } from './run-parameters.ts'
import { writeRunlog } from './runlog.ts'

type Trx = Transaction<Schema>

/** All uses of a run number, locked until the transaction ends, and the one that is at hand. */
export interface LockedRun extends RunId {
  readonly use: Run
  readonly uses: readonly Run[]
}

/**
 * The version of an object that the catalogue believes the store holds; locked when asked for inside a
 * transaction.
 */
export async function findLiveFile(
  executor: Database | Trx,
  object: { readonly bucket: string; readonly key: string },
  lock = false,
): Promise<RunFile | null> {
  const query = executor
    .selectFrom('runFiles')
    .selectAll()
    .where('bucket', '=', object.bucket)
    .where('objectKey', '=', object.key)
    .where('isLive', '=', true)
  return (await (lock ? query.forUpdate() : query).executeTakeFirst()) ?? null
}

/** The store no longer holds this version: the row stays as history. */
export async function supersedeFile(trx: Trx, fileId: number, at: Date): Promise<void> {
  await trx
    .updateTable('runFiles')
    .set({ isLive: false, supersededAt: at })
    .where('id', '=', fileId)
    .execute()
}

export interface HistoryLine {
  readonly runId: number
  readonly what: string
  readonly detail: string
}

export async function addHistory(trx: Trx, lines: readonly HistoryLine[], at: Date): Promise<void> {
  await trx
    .insertInto('runHistory')
    .values(lines.map(({ runId, what, detail }) => ({ runId, at, what, detail })))
    .execute()
}

const liveFiles = (trx: Trx, runId: number): Promise<RunFile[]> =>
  trx.selectFrom('runFiles').selectAll().where('runId', '=', runId).where('isLive', '=', true).execute()

export interface RefreshedRun {
  readonly summary: RunSummary
  /** The files that count, in the order of their subruns. */
  readonly files: readonly RunFile[]
}

/**
 * Brings a run's values in step with its live files, decides which use of the number is the current one and
 * writes the legacy Runlog from it.
 * `newContent` resets the reconstruction's status: what was done with other bytes does not count for these.
 */
export async function refreshRun(
  trx: Trx,
  run: LockedRun,
  options: { readonly at: Date; readonly newContent: boolean; readonly problem?: string },
): Promise<RefreshedRun> {
  const files = await liveFiles(trx, run.use.id)
  const summary = aggregateRun(files.map(summaryOf))
  const fileParameters = summary.fileCount === 0 ? run.use.fileParameters : summary.parameters
  const parameters = mergeParameters({ ...run.use, fileParameters })
  const storage = await storageOfRun(trx, run.use.id, files)
  const { fileCount } = summary
  const firstFileAt = run.use.firstFileAt ?? (fileCount === 0 ? null : options.at)
  const values = {
    ...valuesOf(summary),
    ...valuesOfParameters(parameters),
    fileParameters: fileParameters === null ? null : JSON.stringify(fileParameters),
    ...timesOf(run.use, summary, parameters),
    ...storage,
    firstFileAt,
    problem: fileCount === 0 ? (options.problem ?? problemOfNone(run.use)) : summary.problem,
    updatedAt: options.at,
  }
  const uses = run.uses.map((use) =>
    use.id === run.use.id ? { ...run.use, fileCount, firstFileAt, parameters } : use,
  )
  const current = electCurrentUse(uses)
  await trx
    .updateTable('runs')
    .set({ ...values, isCurrent: current.id === run.use.id })
    .where('id', '=', run.use.id)
    .execute()
  const before = run.uses.find((use) => use.isCurrent)
  for (const use of [before, current]) {
    if (use === undefined || use.id === run.use.id || before?.id === current.id) continue
    await trx
      .updateTable('runs')
      .set({ isCurrent: use.id === current.id })
      .where('id', '=', use.id)
      .execute()
  }
  const isCurrent = current.id === run.use.id
  await writeRunlog(trx, {
    ...run,
    parameters: current.parameters,
    noted: notedUse(uses).parameters,
    ...(isCurrent ? { storage, file: summary } : await filesOf(trx, current.id)),
    resetReco: (isCurrent && options.newContent) || before?.id !== current.id,
  })
  return {
    summary: { ...summary, parameters },
    files: summary.keys.flatMap((key) => files.filter((file) => nameOf(file) === key).slice(0, 1)),
  }
}

/** Why a run has no file: what became of one that was refused stays until another one comes. */
const problemOfNone = ({ firstFileAt, problem }: Run): string =>
  firstFileAt === null
    ? (problem ?? 'no file of this run has arrived yet')
    : 'no file of this run is in the store any more'

/**
 * The use of the number that is shown: the latest begun of those that have files, else of those that had some,
 * else of those that await one. What is only written in the Runlog hides no run that was catalogued.
 */
function electCurrentUse(uses: readonly Run[]): Run {
  const holding = uses.filter((use) => use.fileCount > 0)
  const catalogued = holding.length > 0 ? holding : uses.filter((use) => use.firstFileAt !== null)
  return latestBegun(catalogued.length > 0 ? catalogued : uses)
}

/**
 * The use whose parameters the Runlog shows: the one that the logger began after the current one and that
 * awaits its file, else the current one. So its end of run is known from that of the current one.
 */
export function notedUse(uses: readonly Run[]): Run {
  const current = electCurrentUse(uses)
  return latestBegun([current, ...uses.filter((use) => use.firstFileAt === null)])
}

function latestBegun(uses: readonly Run[]): Run {
  const [latest] = uses.toSorted((a, b) => b.startedEpoch - a.startedEpoch || b.id - a.id)
  if (latest === undefined) throw new Error('a run number without a use')
  return latest
}

async function filesOf(trx: Trx, runId: number) {
  const files = await liveFiles(trx, runId)
  return { storage: await storageOfRun(trx, runId, files), file: aggregateRun(files.map(summaryOf)) }
}

/** A run that lost its files keeps the sizes that they had. */
function valuesOf(summary: RunSummary) {
  if (summary.fileCount === 0) return { complete: false, fileCount: 0 }
  return {
    complete: summary.complete,
    integrity: summary.integrity,
    fileCount: summary.fileCount,
    sizeBytes: summary.sizeBytes,
    eventCount: summary.eventCount,
    firstEventAt: summary.firstEventAt,
    lastEventAt: summary.lastEventAt,
  }
}

function valuesOfParameters(parameters: Parameters) {
  const { pedestal_run: pedestal, run_description: description } = parameters
  return {
    pedestal: typeof pedestal === 'number' ? pedestal !== 0 : null,
    description: typeof description === 'string' ? description : null,
    parameters: JSON.stringify(parameters),
  }
}

/** Begin and end by the files' own clock readings, else by the local times that the logger wrote. */
function timesOf(use: Run, summary: RunSummary, { stop_time: stopTime }: Parameters) {
  const startedEpoch = summary.startedEpoch || use.startedEpoch
  const logged = typeof stopTime === 'string' ? epochOfDaqTime(stopTime, startedEpoch) : null
  const stoppedAt = dateOf(summary.stoppedEpoch ?? logged)
  return {
    startedAt: dateOf(startedEpoch),
    stoppedAt: summary.fileCount === 0 ? (use.stoppedAt ?? stoppedAt) : stoppedAt,
  }
}

/** The same key may stand in several raw buckets. */
const nameOf = (file: Selectable<RunFilesTable>) => `${file.bucket}/${file.objectKey}`

function summaryOf(file: Selectable<RunFilesTable>): FileSummary {
  return {
    key: nameOf(file),
    subrun: file.subrun,
    lastModified: file.lastModified,
    sizeBytes: file.sizeBytes,
    md5: file.md5,
    integrity: file.integrity,
    complete: file.complete,
    problem: file.problem,
    eventCount: file.eventCount,
    firstEventAt: file.firstEventAt,
    lastEventAt: file.lastEventAt,
    startedEpoch: file.startedEpoch,
    stoppedEpoch: file.stoppedEpoch,
    parameters: file.parameters,
  }
}

export const dateOf = (epoch: number | null) =>
  epoch === null || epoch === 0 ? null : new Date(epoch * 1000)

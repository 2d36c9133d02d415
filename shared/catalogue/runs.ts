/** Runs and their files: computes the values of a run from its files and from what the logger wrote. */
import type { Transaction } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { Parameters, Run, RunFile, Schema } from '../database/schema.ts'
import { parseRunKey, type RunId } from '../run.ts'
import { epochOfDaqTime } from '../time/daq-time.ts'
import { aggregateRun, type FileSummary, type RunSummary } from './aggregate.ts'
import { refusedFilesOf } from './arrivals.ts'
import { type ProblemKind, problemColumns, problemsOfFiles } from './open-problems.ts'
import { storageOfRun } from './replicas.ts'
import { mergeParameters } from './run-parameters.ts'
import { writeRunlog } from './runlog.ts'

type Trx = Transaction<Schema>

/** All generations of a run number, locked until the transaction ends, and the one that is being changed. */
export interface LockedRun extends RunId {
  readonly generation: Run
  readonly generations: readonly Run[]
}

/**
 * The version of an object that the store holds according to the catalogue. `lock`: until the transaction
 * ends.
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

/** The store no longer holds this version; the row is kept as history. */
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
  /** Whether other contents count than before. */
  readonly newContents: boolean
}

/**
 * Computes the values of a run from its live files, decides which of these count and which generation of the
 * number is current, and writes the legacy Runlog from it. When other contents count than before, the status of
 * the reconstruction is reset.
 * @param options.removed the file that is no longer live since this transaction.
 */
export async function refreshRun(
  trx: Trx,
  run: LockedRun,
  options: { readonly at: Date; readonly removed?: RunFile | null; readonly problem?: string },
): Promise<RefreshedRun> {
  const live = await liveFiles(trx, run.generation.id)
  const summary = aggregateRun(live.map((file) => summaryOf(file, run)))
  const files = summary.keys.flatMap((key) => live.filter((file) => nameOf(file) === key).slice(0, 1))
  const counted = [...live, ...(options.removed == null ? [] : [options.removed])].filter(
    (file) => file.counts && file.runId === run.generation.id,
  )
  const newContents = contentsOf(counted) !== contentsOf(files)
  await markExtraFiles(trx, live, files)
  const fileParameters = summary.fileCount === 0 ? run.generation.fileParameters : summary.parameters
  const parameters = mergeParameters({ ...run.generation, fileParameters })
  const { storage, problems: ofCopies } = await storageOfRun(trx, run.generation.id, files)
  const { fileCount } = summary
  const firstFileAt = run.generation.firstFileAt ?? (fileCount === 0 ? null : options.at)
  const values = {
    ...valuesOf(summary),
    ...valuesOfParameters(parameters),
    fileParameters: fileParameters === null ? null : JSON.stringify(fileParameters),
    ...timesOf(run.generation, summary, parameters),
    ...storage,
    ...problemColumns([...(await problemsOf(trx, run, live, files, summary)), ...ofCopies]),
    firstFileAt,
    isHistory: files.length === 0 ? run.generation.isHistory : files.every((file) => file.isHistory),
    problem: fileCount === 0 ? (options.problem ?? problemWithoutFiles(run.generation)) : summary.problem,
    updatedAt: options.at,
  }
  const generations = run.generations.map((generation) =>
    generation.id === run.generation.id
      ? { ...run.generation, fileCount, firstFileAt, parameters }
      : generation,
  )
  const current = electCurrent(generations)
  await trx
    .updateTable('runs')
    .set({ ...values, isCurrent: current.id === run.generation.id })
    .where('id', '=', run.generation.id)
    .execute()
  const before = run.generations.find((generation) => generation.isCurrent)
  for (const generation of [before, current]) {
    if (generation === undefined || generation.id === run.generation.id || before?.id === current.id) continue
    await trx
      .updateTable('runs')
      .set({ isCurrent: generation.id === current.id })
      .where('id', '=', generation.id)
      .execute()
  }
  const isCurrent = current.id === run.generation.id
  await writeRunlog(trx, {
    ...run,
    parameters: current.parameters,
    shownParameters: generationInRunlog(generations).parameters,
    ...(isCurrent ? { storage, file: summary } : await filesOf(trx, current.id, run)),
    resetReco: (isCurrent && newContents) || before?.id !== current.id,
  })
  return { summary: { ...summary, parameters }, files, newContents }
}

const contentsOf = (files: readonly RunFile[]): string =>
  files
    .map(({ sha256 }) => sha256)
    .toSorted()
    .join()

async function problemsOf(
  trx: Trx,
  run: LockedRun,
  live: readonly RunFile[],
  files: readonly RunFile[],
  { complete }: RunSummary,
): Promise<readonly ProblemKind[]> {
  const refused = await refusedFilesOf(trx, run)
  return problemsOfFiles({
    hadFile: run.generation.firstFileAt !== null,
    complete,
    files: files.map((file) => ({ ...file, wellNamed: isWellNamed(file, run) })),
    extraFiles: live.length - files.length,
    // A misnamed object is reported, but the number in its name is a guess.
    refusedFiles: refused.filter(({ objectKey }) => parseRunKey(objectKey) !== null).length,
  })
}

/** Whether the name of a file has the number of its run. */
const isWellNamed = (file: Pick<RunFile, 'objectKey'>, run: Pick<RunId, 'runNumber'>): boolean =>
  parseRunKey(file.objectKey)?.runNumber === run.runNumber

/** Stores which live files count, where that changes. */
async function markExtraFiles(trx: Trx, live: readonly RunFile[], files: readonly RunFile[]): Promise<void> {
  for (const counts of [true, false]) {
    const changed = live.filter((file) => files.includes(file) === counts && file.counts !== counts)
    if (changed.length === 0) continue
    const ids = changed.map(({ id }) => id)
    await trx.updateTable('runFiles').set({ counts }).where('id', 'in', ids).execute()
  }
}

/** Why a run has no file. The reason why a file was refused is kept until another file arrives. */
const problemWithoutFiles = ({ firstFileAt, problem }: Run): string =>
  firstFileAt === null
    ? (problem ?? 'no file of this run has arrived yet')
    : 'no file of this run is in the store any more'

/**
 * The generation of the number that is shown: the latest begun of those with files, else of those that once
 * had files, else of those that await one. So a run that is only in the Runlog never hides a catalogued run.
 */
function electCurrent(generations: readonly Run[]): Run {
  const holding = generations.filter((generation) => generation.fileCount > 0)
  const catalogued =
    holding.length > 0 ? holding : generations.filter((generation) => generation.firstFileAt !== null)
  return latestBegun(catalogued.length > 0 ? catalogued : generations)
}

/**
 * The generation whose parameters the Runlog shows: one that the logger began after the current one and that
 * awaits its file, else the current one. So its end of run is distinguished from that of the current one.
 */
export function generationInRunlog(generations: readonly Run[]): Run {
  const current = electCurrent(generations)
  return latestBegun([current, ...generations.filter((generation) => generation.firstFileAt === null)])
}

function latestBegun(generations: readonly Run[]): Run {
  const [latest] = generations.toSorted((a, b) => b.startedEpoch - a.startedEpoch || b.id - a.id)
  if (latest === undefined) throw new Error('a run number has no generation')
  return latest
}

async function filesOf(trx: Trx, runId: number, run: RunId) {
  const live = await liveFiles(trx, runId)
  const { storage } = await storageOfRun(
    trx,
    runId,
    live.filter((file) => file.counts),
  )
  return { storage, file: aggregateRun(live.map((file) => summaryOf(file, run))) }
}

/** A run that lost its files keeps their sizes. */
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

/** Begin and end from the files' own times, else from the local times that the logger wrote. */
function timesOf(generation: Run, summary: RunSummary, { stop_time: stopTime }: Parameters) {
  const startedEpoch = summary.startedEpoch || generation.startedEpoch
  const logged = typeof stopTime === 'string' ? epochOfDaqTime(stopTime, startedEpoch) : null
  const stoppedAt = dateOf(summary.stoppedEpoch ?? logged)
  return {
    startedAt: dateOf(startedEpoch),
    stoppedAt: summary.fileCount === 0 ? (generation.stoppedAt ?? stoppedAt) : stoppedAt,
  }
}

/** The same key may exist in several raw buckets. */
const nameOf = (file: RunFile) => `${file.bucket}/${file.objectKey}`

function summaryOf(file: RunFile, run: RunId): FileSummary {
  return {
    key: nameOf(file),
    subrun: file.subrun,
    wellNamed: isWellNamed(file, run),
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

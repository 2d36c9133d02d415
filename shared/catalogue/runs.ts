/**
 * Runs and their files: which use of a run number a file belongs to, and the run's values kept in step with
 * its files.
 */
import type { Selectable, Transaction } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { Run, RunFile, RunFilesTable, Schema } from '../database/schema.ts'
import type { RunId } from '../run.ts'
import { aggregateRun, type FileSummary, type RunSummary } from './aggregate.ts'
import { storageOfRun } from './replicas.ts'
import { writeRunlog } from './runlog.ts'

type Trx = Transaction<Schema>

/** All uses of a run number, locked until the transaction ends, and the one that is at hand. */
export interface LockedRun extends RunId {
  readonly use: Run
  readonly uses: readonly Run[]
}

/**
 * Finds or makes the use of the run number that a file belongs to, and locks all uses of the number until the
 * transaction ends. `startedEpoch` is the begin of run by the ODB, 0 when the file does not say:
 * - known: the use that began then. One that was catalogued without a known start is taken over when it has
 *   no other file than this key's, or is the only use and lacks this subrun: a subrun that lost its dump may
 *   come before the others;
 * - unknown: the current use, for want of better.
 */
export async function lockRunOf(
  trx: Trx,
  run: RunId,
  file: {
    readonly bucket: string
    readonly key: string
    readonly subrun: number | null
    readonly startedEpoch: number
  },
  at: Date,
): Promise<LockedRun> {
  const uses = await lockUses(trx, run)
  const exact = uses.find((use) => use.startedEpoch === file.startedEpoch)
  if (exact !== undefined) return { ...run, use: exact, uses }
  if (file.startedEpoch === 0) {
    const current = uses.find((use) => use.isCurrent)
    if (current !== undefined) return { ...run, use: current, uses }
  }
  const unknown = uses.find((use) => use.startedEpoch === 0)
  if (
    unknown !== undefined &&
    ((await onlyHolds(trx, unknown.id, file)) ||
      (uses.length === 1 && (await lacksSubrun(trx, unknown.id, file.subrun))))
  ) {
    await trx
      .updateTable('runs')
      .set({ startedEpoch: file.startedEpoch })
      .where('id', '=', unknown.id)
      .execute()
    const taken = { ...unknown, startedEpoch: file.startedEpoch }
    return { ...run, use: taken, uses: uses.map((use) => (use.id === taken.id ? taken : use)) }
  }
  const row = {
    tag: run.tag,
    runNumber: run.runNumber,
    startedEpoch: file.startedEpoch,
    integrity: 'unstated' as const,
    parameters: '{}',
    cataloguedAt: at,
    updatedAt: at,
  }
  await trx.insertInto('runs').ignore().values(row).execute()
  // Looked at again, not taken for made: another transaction may have made the same use at this moment, or
  // another one.
  const now = await lockUses(trx, run)
  const made = now.find((use) => use.startedEpoch === file.startedEpoch)
  if (made === undefined) throw new Error('a run vanished while it was locked')
  return { ...run, use: made, uses: now }
}

/** The same for the run that a catalogued file belongs to. */
export async function lockRunOfFile(trx: Trx, file: RunFile): Promise<LockedRun> {
  const { tag, runNumber } = await trx
    .selectFrom('runs')
    .select(['tag', 'runNumber'])
    .where('id', '=', file.runId)
    .executeTakeFirstOrThrow()
  const uses = await lockUses(trx, { tag, runNumber })
  const use = uses.find((candidate) => candidate.id === file.runId)
  if (use === undefined) throw new Error(`run ${runNumber} of ${tag} vanished while it was locked`)
  return { tag, runNumber, use, uses }
}

const lockUses = (trx: Trx, run: RunId) =>
  trx
    .selectFrom('runs')
    .selectAll()
    .where('tag', '=', run.tag)
    .where('runNumber', '=', run.runNumber)
    .orderBy('id')
    .forUpdate()
    .execute()

/** True when the run consists of subruns, and this one is not among them. */
async function lacksSubrun(trx: Trx, runId: number, subrun: number | null): Promise<boolean> {
  if (subrun === null) return false
  const files = await trx
    .selectFrom('runFiles')
    .select('subrun')
    .where('runId', '=', runId)
    .where('isLive', '=', true)
    .execute()
  return files.every((file) => file.subrun !== null && file.subrun !== subrun)
}

async function onlyHolds(
  trx: Trx,
  runId: number,
  file: { readonly bucket: string; readonly key: string },
): Promise<boolean> {
  const others = await trx
    .selectFrom('runFiles')
    .select('id')
    .where('runId', '=', runId)
    .where((where) => where.or([where('bucket', '!=', file.bucket), where('objectKey', '!=', file.key)]))
    .limit(1)
    .execute()
  return others.length === 0
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
 * Brings a run's values in step with its live files, decides which use of the number is the current one (the
 * latest begun of those that still have a file; all keep their rows) and writes the legacy Runlog from it.
 * `newContent` resets the reconstruction's status: what was done with other bytes does not count for these.
 * @returns null when no live file is left.
 */
export async function refreshRun(
  trx: Trx,
  run: LockedRun,
  options: { readonly at: Date; readonly newContent: boolean; readonly problem?: string },
): Promise<RefreshedRun | null> {
  const files = await liveFiles(trx, run.use.id)
  const summary = aggregateRun(files.map(summaryOf))
  const problem =
    summary === null ? (options.problem ?? 'no file of this run is in the store any more') : summary.problem
  const storage = await storageOfRun(trx, run.use.id, files)
  const values = {
    ...(summary === null ? { complete: false, fileCount: 0 } : valuesOf(summary)),
    ...storage,
    problem,
    updatedAt: options.at,
  }
  const fileCount = summary?.fileCount ?? 0
  const current = electCurrentUse(
    run.uses.map((use) => (use.id === run.use.id ? { ...use, fileCount } : use)),
  )
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
  if (current.id === run.use.id) {
    const parameters = summary?.parameters ?? run.use.parameters
    await writeRunlog(trx, {
      ...run,
      parameters,
      storage,
      file: summary,
      resetReco: options.newContent || before?.id !== current.id,
    })
  } else if (before?.id !== current.id) await showOtherUse(trx, run, current)
  if (summary === null) return null
  return {
    summary,
    files: summary.keys.flatMap((key) => files.filter((file) => nameOf(file) === key).slice(0, 1)),
  }
}

/** The use of the number that is shown: the latest begun that still has a file, else the latest begun. */
function electCurrentUse(uses: readonly Run[]): Run {
  const alive = uses.filter((use) => use.fileCount > 0)
  const [current] = (alive.length > 0 ? alive : uses).toSorted(
    (a, b) => b.startedEpoch - a.startedEpoch || b.id - a.id,
  )
  if (current === undefined) throw new Error('a run number without a use')
  return current
}

async function showOtherUse(trx: Trx, run: RunId, use: Run): Promise<void> {
  const files = await liveFiles(trx, use.id)
  const storage = await storageOfRun(trx, use.id, files)
  await writeRunlog(trx, {
    ...run,
    parameters: use.parameters,
    storage,
    file: aggregateRun(files.map(summaryOf)),
    resetReco: true,
  })
}

function valuesOf(summary: RunSummary) {
  const { pedestal_run: pedestal, run_description: description } = summary.parameters
  return {
    complete: summary.complete,
    integrity: summary.integrity,
    fileCount: summary.fileCount,
    sizeBytes: summary.sizeBytes,
    eventCount: summary.eventCount,
    firstEventAt: summary.firstEventAt,
    lastEventAt: summary.lastEventAt,
    startedAt: dateOf(summary.startedEpoch),
    stoppedAt: dateOf(summary.stoppedEpoch),
    pedestal: typeof pedestal === 'number' ? pedestal !== 0 : null,
    description: typeof description === 'string' ? description : null,
    parameters: JSON.stringify(summary.parameters),
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

/** Runs and their files: which use of a run number a file belongs to, and the run's values kept in step with its files. */
import type { Selectable, Transaction } from 'kysely'
import { aggregateRun, type FileSummary, type RunSummary } from './aggregate.ts'
import type { Database } from './database.ts'
import { writeRunlog } from './runlog.ts'
import type { Run, RunFile, RunFilesTable, Schema } from './schema.ts'

type Trx = Transaction<Schema>

export interface RunKey {
  readonly tag: string
  readonly runNumber: number
}

/**
 * Finds or makes the use of the run number that a file belongs to, and locks all uses of the number until the
 * transaction ends. `startedEpoch` is the begin of run by the ODB, 0 when the file does not say:
 * - known: the use that began then. One that was catalogued without a known start and has no other file than this key's is taken over;
 * - unknown: the current use, for want of better.
 */
export async function lockRunOf(
  trx: Trx,
  run: RunKey,
  file: { readonly bucket: string; readonly key: string; readonly startedEpoch: number },
  at: Date,
): Promise<Run> {
  const uses = await lockUses(trx, run)
  const exact = uses.find((use) => use.started_epoch === file.startedEpoch)
  if (exact !== undefined) return exact
  if (file.startedEpoch === 0) {
    const current = uses.find((use) => use.is_current === 1)
    if (current !== undefined) return current
  }
  const unknown = uses.find((use) => use.started_epoch === 0)
  if (unknown !== undefined && (await onlyHolds(trx, unknown.id, file))) {
    await trx.updateTable('runs').set({ started_epoch: file.startedEpoch }).where('id', '=', unknown.id).execute()
    return { ...unknown, started_epoch: file.startedEpoch }
  }
  await trx
    .insertInto('runs')
    .ignore()
    .values({
      tag: run.tag,
      run_number: run.runNumber,
      started_epoch: file.startedEpoch,
      integrity: 'unstated',
      parameters: '{}',
      catalogued_at: at,
      updated_at: at,
    })
    .execute()
  const made = (await lockUses(trx, run)).find((use) => use.started_epoch === file.startedEpoch)
  if (made === undefined) throw new Error('a run vanished while it was locked')
  return made
}

const lockUses = (trx: Trx, run: RunKey) =>
  trx.selectFrom('runs').selectAll().where('tag', '=', run.tag).where('run_number', '=', run.runNumber).orderBy('id').forUpdate().execute()

async function onlyHolds(trx: Trx, runId: number, file: { readonly bucket: string; readonly key: string }): Promise<boolean> {
  const others = await trx
    .selectFrom('run_files')
    .select('id')
    .where('run_id', '=', runId)
    .where((where) => where.or([where('bucket', '!=', file.bucket), where('object_key', '!=', file.key)]))
    .limit(1)
    .execute()
  return others.length === 0
}

/** The version of an object that the catalogue believes the store holds; locked when asked for inside a transaction. */
export async function findLiveFile(
  executor: Database | Trx,
  object: { readonly bucket: string; readonly key: string },
  lock = false,
): Promise<RunFile | null> {
  const query = executor
    .selectFrom('run_files')
    .selectAll()
    .where('bucket', '=', object.bucket)
    .where('object_key', '=', object.key)
    .where('is_live', '=', 1)
  return (await (lock ? query.forUpdate() : query).executeTakeFirst()) ?? null
}

/** The store no longer holds this version: the row stays as history. */
export async function supersedeFile(trx: Trx, fileId: number, at: Date): Promise<void> {
  await trx.updateTable('run_files').set({ is_live: 0, superseded_at: at }).where('id', '=', fileId).execute()
}

export async function addHistory(trx: Trx, runId: number, what: string, detail: string, at: Date): Promise<void> {
  await trx.insertInto('run_history').values({ run_id: runId, at, what, detail }).execute()
}

/**
 * Brings a run's values in step with its live files, decides which use of the number is the current one (the latest
 * begun of those that still have a file; all keep their rows) and writes the legacy Runlog from it.
 * `newContent` resets the legacy statuses: what was done with other bytes does not count for these.
 */
export async function refreshRun(
  trx: Trx,
  run: RunKey & { readonly id: number },
  options: { readonly at: Date; readonly newContent: boolean; readonly problem?: string },
): Promise<RunSummary | null> {
  const files = await trx.selectFrom('run_files').selectAll().where('run_id', '=', run.id).where('is_live', '=', 1).execute()
  const summary = aggregateRun(files.map(summaryOf))
  if (summary === null) {
    const problem = options.problem ?? 'no file of this run is in the store any more'
    await trx.updateTable('runs').set({ complete: 0, file_count: 0, problem, updated_at: options.at }).where('id', '=', run.id).execute()
  } else {
    await trx
      .updateTable('runs')
      .set({
        complete: Number(summary.complete),
        problem: summary.problem,
        integrity: summary.integrity,
        file_count: summary.fileCount,
        size_bytes: summary.sizeBytes,
        event_count: summary.eventCount,
        first_event_at: summary.firstEventAt,
        last_event_at: summary.lastEventAt,
        started_at: dateOf(summary.startedEpoch),
        stopped_at: dateOf(summary.stoppedEpoch),
        pedestal: typeof summary.parameters.pedestal_run === 'number' ? summary.parameters.pedestal_run : null,
        description: typeof summary.parameters.run_description === 'string' ? summary.parameters.run_description : null,
        parameters: JSON.stringify(summary.parameters),
        updated_at: options.at,
      })
      .where('id', '=', run.id)
      .execute()
  }
  await electCurrentUse(trx, run, { ...options, changed: run.id })
  return summary
}

async function electCurrentUse(trx: Trx, run: RunKey, options: { readonly newContent: boolean; readonly changed: number }): Promise<void> {
  const uses = await lockUses(trx, run)
  const alive = uses.filter((use) => use.file_count > 0)
  const current = (alive.length > 0 ? alive : uses).toSorted((a, b) => b.started_epoch - a.started_epoch || b.id - a.id)[0]
  if (current === undefined) return
  const before = uses.find((use) => use.is_current === 1)
  if (before?.id !== current.id) {
    await trx.updateTable('runs').set({ is_current: 0 }).where('tag', '=', run.tag).where('run_number', '=', run.runNumber).execute()
    await trx.updateTable('runs').set({ is_current: 1 }).where('id', '=', current.id).execute()
  }
  if (before?.id === current.id && current.id !== options.changed) return
  const files = await trx
    .selectFrom('run_files')
    .select(['subrun', 'md5', 'object_key'])
    .where('run_id', '=', current.id)
    .where('is_live', '=', 1)
    .execute()
  await writeRunlog(trx, current, {
    md5: files.length === 1 ? (files[0]?.md5 ?? null) : null,
    reset: options.newContent || before?.id !== current.id,
  })
}

export function summaryOf(file: Selectable<RunFilesTable>): FileSummary {
  return {
    key: file.object_key,
    subrun: file.subrun,
    lastModified: file.last_modified,
    sizeBytes: file.size_bytes,
    md5: file.md5,
    integrity: file.integrity,
    complete: file.complete === 1,
    problem: file.problem,
    eventCount: file.event_count,
    firstEventAt: file.first_event_at,
    lastEventAt: file.last_event_at,
    startedEpoch: file.started_epoch,
    stoppedEpoch: file.stopped_epoch,
    parameters: file.parameters,
  }
}

export const dateOf = (epoch: number | null) => (epoch === null || epoch === 0 ? null : new Date(epoch * 1000))

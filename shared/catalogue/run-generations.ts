/**
 * Generations of a run number: numbers are sometimes used again, and each generation is a separate run. Finds
 * or makes the generation that a file, or a row of the DAQ's logger, belongs to. All generations of the
 * number are locked until the transaction ends.
 */
import type { Transaction } from 'kysely'
import type { Parameters, Run, RunFile, Schema } from '../database/schema.ts'
import type { RunId } from '../run.ts'
import { epochOfDaqTime } from '../time/daq-time.ts'
import { addRequests } from '../work/outbox.ts'
import { differingStartAlert, reusedNumberAlert } from './run-alerts.ts'
import { takeLoggedRow } from './runlog.ts'
import { addHistory, generationInRunlog, type LockedRun, refreshRun } from './runs.ts'
import { isOlderThanTakeOver } from './take-over.ts'

type Trx = Transaction<Schema>

/**
 * Finds or makes the generation of the run number that a file belongs to. `startedEpoch` is the begin of run
 * in the ODB, 0 if the file does not state it, and `startTime` the same time as MIDAS's text:
 * - unknown begin: the generation whose begin is unknown too, else the current one, else a new one;
 * - known begin: the generation that began then; else the logger's generation that awaits its file and has
 *   the same text (which states no offset) or nearly the same time; else a generation that was catalogued
 *   without a known begin, if it has files of this key only, or if it is the only generation and this subrun is
 *   missing (a subrun that lost its dump may arrive before the others); else a new one.
 */
export async function lockRunForNewFile(
  trx: Trx,
  run: RunId,
  file: {
    readonly bucket: string
    readonly key: string
    readonly subrun: number | null
    readonly startedEpoch: number
    readonly startTime: Parameters[string] | undefined
  },
  at: Date,
): Promise<LockedRun> {
  const { generations } = await lockGenerations(trx, run, at)
  const exact = generations.find((generation) => generation.startedEpoch === file.startedEpoch)
  if (exact !== undefined) return { ...run, generation: exact, generations }
  if (file.startedEpoch === 0) {
    const current = generations.find((generation) => generation.isCurrent)
    if (current !== undefined) return { ...run, generation: current, generations }
  }
  const awaited = generations.filter(
    (generation) => generation.firstFileAt === null && file.startedEpoch !== 0,
  )
  const awaiting =
    awaited.find((generation) => hasStartTime(generation, file.startTime)) ??
    awaited.find((generation) => isNear(generation, file.startedEpoch))
  if (awaiting !== undefined) return await recordBegin(trx, run, generations, awaiting, file.startedEpoch)
  const unknown = generations.find((generation) => generation.startedEpoch === 0)
  if (
    unknown !== undefined &&
    ((await hasNoOtherFile(trx, unknown.id, file)) ||
      (generations.length === 1 && (await isSubrunMissing(trx, unknown.id, file.subrun))))
  )
    return await recordBegin(trx, run, generations, unknown, file.startedEpoch)
  return await makeGeneration(trx, run, file.startedEpoch, at)
}

/**
 * Locks all generations of a run number until the transaction ends. Also records what the DAQ's logger wrote
 * into the Runlog since Cygnet last wrote or read the row, before Cygnet overwrites it; `logged` is true if
 * there was something.
 */
export async function lockGenerations(
  trx: Trx,
  run: RunId,
  at: Date,
): Promise<{ readonly generations: readonly Run[]; readonly logged: boolean }> {
  const generations = await selectGenerations(trx, run)
  const logged = await takeLogged(trx, run, generations, at)
  return { generations: logged ? await selectGenerations(trx, run) : generations, logged }
}

/** Records what the logger wrote with the run that it describes, which is made if it is new. */
async function takeLogged(trx: Trx, run: RunId, before: readonly Run[], at: Date): Promise<boolean> {
  const current = before.find((generation) => generation.isCurrent)
  const former = current === undefined ? null : { current, shown: generationInRunlog(before) }
  const row = await takeLoggedRow(trx, run, former)
  if (row === null) return false
  const startedEpoch = typeof row.startTime === 'string' ? (epochOfDaqTime(row.startTime) ?? 0) : 0
  const stated = await lockLogged(trx, run, before, { former, startedEpoch, startTime: row.startTime }, at)
  const { generation, generations } = await mergeNeverTaken(trx, stated)
  const values = row.valuesFor(generation)
  const known = { ...generation, loggerParameters: { ...generation.loggerParameters, ...values } }
  await trx
    .updateTable('runs')
    .set({ loggerParameters: JSON.stringify(known.loggerParameters) })
    .where('id', '=', generation.id)
    .execute()
  if (Object.keys(values).length > 0)
    await addHistory(
      trx,
      [{ runId: generation.id, what: 'logged', detail: Object.keys(values).join(', ') }],
      at,
    )
  const alerts = startAlerts({ ...run, generation, generations }, startedEpoch, row.startTime)
  // An old Runlog that is read in alerts about none of its runs.
  const begin = { tag: run.tag, at: startedEpoch === 0 ? null : new Date(startedEpoch * 1000) }
  if (alerts.length > 0 && !(await isOlderThanTakeOver(trx, begin))) await addRequests(trx, alerts, at)
  await refreshRun(trx, { ...run, generation: known, generations }, { at })
  return true
}

/**
 * Finds or makes the generation that the row describes. A begin that is not after the former one of the row,
 * or within moments of a known one, is a correction and not another run. The begin in the Runlog counts only
 * if no file states one.
 */
async function lockLogged(
  trx: Trx,
  run: RunId,
  generations: readonly Run[],
  row: {
    readonly former: { readonly current: Run; readonly shown: Run } | null
    readonly startedEpoch: number
    readonly startTime: Parameters[string]
  },
  at: Date,
): Promise<LockedRun> {
  const { former, startedEpoch, startTime } = row
  if (startedEpoch === 0 && former !== null) return { ...run, generation: former.shown, generations }
  const found =
    generations.find((generation) => generation.startedEpoch === startedEpoch) ??
    generations.find((generation) => hasStartTime(generation, startTime)) ??
    generations.find((generation) => isNear(generation, startedEpoch)) ??
    (generations.length === 1
      ? generations.find((generation) => generation.startedEpoch === 0)
      : undefined) ??
    [former?.current, former?.shown].find((run) => run !== undefined && startedEpoch < run.startedEpoch)
  if (found === undefined) return await makeGeneration(trx, run, startedEpoch, at)
  return found.startedEpoch === 0 || found.firstFileAt === null
    ? await recordBegin(trx, run, generations, found, startedEpoch)
    : { ...run, generation: found, generations }
}

/**
 * A run that awaits its file and began after the one that the Runlog states was never taken. Its row is
 * deleted. Its history moves to the run that the Runlog states, and so do its parameters if that run has no
 * file.
 */
async function mergeNeverTaken(trx: Trx, run: LockedRun): Promise<LockedRun> {
  const { generation, generations } = run
  const neverTaken = generations.filter(
    (other) => other.firstFileAt === null && other.startedEpoch > generation.startedEpoch,
  )
  if (neverTaken.length === 0) return run
  const ids = neverTaken.map(({ id }) => id)
  await trx.updateTable('runHistory').set({ runId: generation.id }).where('runId', 'in', ids).execute()
  await trx.updateTable('outbox').set({ runId: generation.id }).where('runId', 'in', ids).execute()
  await trx.deleteFrom('runs').where('id', 'in', ids).execute()
  const left = { ...run, generations: generations.filter((other) => !neverTaken.includes(other)) }
  if (generation.firstFileAt !== null) return left
  const loggerParameters = Object.assign(
    {},
    ...neverTaken.map((other) => other.loggerParameters),
    generation.loggerParameters,
  )
  const corrections = Object.assign(
    {},
    ...neverTaken.map((other) => other.corrections),
    generation.corrections,
  )
  await trx
    .updateTable('runs')
    .set({ corrections: JSON.stringify(corrections) })
    .where('id', '=', generation.id)
    .execute()
  return { ...left, generation: { ...generation, loggerParameters, corrections } }
}

function startAlerts(
  { tag, runNumber, generation, generations }: LockedRun,
  startedEpoch: number,
  startTime: Parameters[string],
) {
  const run = { id: generation.id, tag, runNumber }
  if (generation.firstFileAt === null)
    return generations.some((other) => other.firstFileAt !== null && other.startedEpoch < startedEpoch)
      ? [reusedNumberAlert(run, startedEpoch, null)]
      : []
  const ofFile = generation.fileParameters?.start_time
  return typeof startTime === 'string' && typeof ofFile === 'string' && startTime !== ofFile
    ? [differingStartAlert(run, startTime, ofFile)]
    : []
}

/** A number is not used again within so short a time: two begins this near belong to one run. */
const NEAR_SECONDS = 60

const isNear = (generation: Run, startedEpoch: number) =>
  generation.startedEpoch !== 0 && Math.abs(generation.startedEpoch - startedEpoch) <= NEAR_SECONDS

const hasStartTime = (generation: Run, startTime: Parameters[string] | undefined) =>
  typeof startTime === 'string' && generation.parameters.start_time === startTime

/** Sets the begin of a run, which was unknown or less exact before. */
async function recordBegin(
  trx: Trx,
  run: RunId,
  generations: readonly Run[],
  generation: Run,
  startedEpoch: number,
): Promise<LockedRun> {
  await trx.updateTable('runs').set({ startedEpoch }).where('id', '=', generation.id).execute()
  const known = { ...generation, startedEpoch }
  return {
    ...run,
    generation: known,
    generations: generations.map((other) => (other.id === generation.id ? known : other)),
  }
}

/**
 * Selects the generations again after the insert, because another transaction may have made the same one, or
 * another, at this moment.
 */
async function makeGeneration(trx: Trx, run: RunId, startedEpoch: number, at: Date): Promise<LockedRun> {
  const row = {
    tag: run.tag,
    runNumber: run.runNumber,
    startedEpoch,
    integrity: 'unstated' as const,
    parameters: '{}',
    cataloguedAt: at,
    updatedAt: at,
  }
  await trx.insertInto('runs').ignore().values(row).execute()
  const generations = await selectGenerations(trx, run)
  const generation = generations.find((other) => other.startedEpoch === startedEpoch)
  if (generation === undefined) throw new Error('a run vanished while it was locked')
  return { ...run, generation, generations }
}

/** Locks the run that a catalogued file belongs to, with all generations of its number. */
export async function lockRunOfFile(trx: Trx, file: RunFile, at: Date): Promise<LockedRun> {
  const { tag, runNumber } = await trx
    .selectFrom('runs')
    .select(['tag', 'runNumber'])
    .where('id', '=', file.runId)
    .executeTakeFirstOrThrow()
  const { generations } = await lockGenerations(trx, { tag, runNumber }, at)
  const generation = generations.find((candidate) => candidate.id === file.runId)
  if (generation === undefined) throw new Error(`run ${runNumber} of ${tag} vanished while it was locked`)
  return { tag, runNumber, generation, generations }
}

const selectGenerations = (trx: Trx, run: RunId) =>
  trx
    .selectFrom('runs')
    .selectAll()
    .where('tag', '=', run.tag)
    .where('runNumber', '=', run.runNumber)
    .orderBy('id')
    .forUpdate()
    .execute()

/** Whether the run consists of subruns and has no file of this one. */
async function isSubrunMissing(trx: Trx, runId: number, subrun: number | null): Promise<boolean> {
  if (subrun === null) return false
  const files = await trx
    .selectFrom('runFiles')
    .select('subrun')
    .where('runId', '=', runId)
    .where('isLive', '=', true)
    .execute()
  return files.every((file) => file.subrun !== null && file.subrun !== subrun)
}

async function hasNoOtherFile(
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

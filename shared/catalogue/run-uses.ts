/**
 * Uses of a run number: numbers repeat, and each use of one is a run of its own. Finds or makes the use that a
 * file, or what the DAQ's logger wrote, belongs to; all uses of the number are locked until the transaction
 * ends.
 */
import type { Transaction } from 'kysely'
import type { Parameters, Run, RunFile, Schema } from '../database/schema.ts'
import type { RunId } from '../run.ts'
import { epochOfDaqTime } from '../time/daq-time.ts'
import { addRequests } from '../work/outbox.ts'
import { differingStartAlert, reusedNumberAlert } from './next-steps.ts'
import { takeLoggedRow } from './runlog.ts'
import { addHistory, type LockedRun, notedUse, refreshRun } from './runs.ts'

type Trx = Transaction<Schema>

/**
 * Finds or makes the use of the run number that a file belongs to. `startedEpoch` is the begin of run by the
 * ODB, 0 when the file does not say, and `startTime` the same as MIDAS's text:
 * - known: the use that began then, or the one of the logger that waits for its file and has the same text,
 *   which states no offset, or nearly the same time. One that was catalogued without a known start is taken
 *   over when it has no other file than this key's, or is the only use and lacks this subrun: a subrun that
 *   lost its dump may come before the others;
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
    readonly startTime: Parameters[string] | undefined
  },
  at: Date,
): Promise<LockedRun> {
  const { uses } = await lockUses(trx, run, at)
  const exact = uses.find((use) => use.startedEpoch === file.startedEpoch)
  if (exact !== undefined) return { ...run, use: exact, uses }
  if (file.startedEpoch === 0) {
    const current = uses.find((use) => use.isCurrent)
    if (current !== undefined) return { ...run, use: current, uses }
  }
  const awaited = uses.filter((use) => use.firstFileAt === null && file.startedEpoch !== 0)
  const awaiting =
    awaited.find((use) => hasStartTime(use, file.startTime)) ??
    awaited.find((use) => isNear(use, file.startedEpoch))
  if (awaiting !== undefined) return await beganAt(trx, run, uses, awaiting, file.startedEpoch)
  const unknown = uses.find((use) => use.startedEpoch === 0)
  if (
    unknown !== undefined &&
    ((await onlyHolds(trx, unknown.id, file)) ||
      (uses.length === 1 && (await lacksSubrun(trx, unknown.id, file.subrun))))
  )
    return await beganAt(trx, run, uses, unknown, file.startedEpoch)
  return await makeUse(trx, run, file.startedEpoch, at)
}

/**
 * Locks all uses of a run number until the transaction ends, and takes what the DAQ's logger wrote into the
 * Runlog since Cygnet last wrote or took the row (`logged`), before anything of Cygnet's overwrites it.
 */
export async function lockUses(
  trx: Trx,
  run: RunId,
  at: Date,
): Promise<{ readonly uses: readonly Run[]; readonly logged: boolean }> {
  const uses = await selectUses(trx, run)
  const logged = await takeLogged(trx, run, uses, at)
  return { uses: logged ? await selectUses(trx, run) : uses, logged }
}

/** What the logger wrote makes a run, or is kept with the run that it is about. */
async function takeLogged(trx: Trx, run: RunId, before: readonly Run[], at: Date): Promise<boolean> {
  const current = before.find((use) => use.isCurrent)
  const shown = current === undefined ? null : { current, noted: notedUse(before) }
  const row = await takeLoggedRow(trx, run, shown)
  if (row === null) return false
  const startedEpoch = typeof row.startTime === 'string' ? (epochOfDaqTime(row.startTime) ?? 0) : 0
  const stated = await lockStated(trx, run, before, { shown, startedEpoch, startTime: row.startTime }, at)
  const { use, uses } = await foldAway(trx, stated)
  const values = row.valuesFor(use)
  const known = { ...use, loggerParameters: { ...use.loggerParameters, ...values } }
  await trx
    .updateTable('runs')
    .set({ loggerParameters: JSON.stringify(known.loggerParameters) })
    .where('id', '=', use.id)
    .execute()
  if (Object.keys(values).length > 0)
    await addHistory(trx, [{ runId: use.id, what: 'logged', detail: Object.keys(values).join(', ') }], at)
  await addRequests(trx, startAlerts({ ...run, use, uses }, startedEpoch, row.startTime), at)
  await refreshRun(trx, { ...run, use: known, uses }, { at, newContent: false })
  return true
}

/**
 * Finds or makes the use that the row is about. A begin that is not after the one that the row had, or only
 * moments after one that is known, was put right: it is no other run. Only where no file states the begin does
 * the Runlog's count.
 */
async function lockStated(
  trx: Trx,
  run: RunId,
  uses: readonly Run[],
  row: {
    readonly shown: { readonly current: Run; readonly noted: Run } | null
    readonly startedEpoch: number
    readonly startTime: Parameters[string]
  },
  at: Date,
): Promise<LockedRun> {
  const { shown, startedEpoch, startTime } = row
  if (startedEpoch === 0 && shown !== null) return { ...run, use: shown.noted, uses }
  const found =
    uses.find((use) => use.startedEpoch === startedEpoch) ??
    uses.find((use) => hasStartTime(use, startTime)) ??
    uses.find((use) => isNear(use, startedEpoch)) ??
    (uses.length === 1 ? uses.find((use) => use.startedEpoch === 0) : undefined) ??
    [shown?.current, shown?.noted].find((use) => use !== undefined && startedEpoch < use.startedEpoch)
  if (found === undefined) return await makeUse(trx, run, startedEpoch, at)
  return found.startedEpoch === 0 || found.firstFileAt === null
    ? await beganAt(trx, run, uses, found, startedEpoch)
    : { ...run, use: found, uses }
}

/**
 * A run that awaits its file and began after the one that the Runlog states was never taken: its row is
 * deleted, its history is kept with the run that is stated, and what was stated of it where no file counts.
 */
async function foldAway(trx: Trx, run: LockedRun): Promise<LockedRun> {
  const { use, uses } = run
  const folded = uses.filter((other) => other.firstFileAt === null && other.startedEpoch > use.startedEpoch)
  if (folded.length === 0) return run
  const ids = folded.map(({ id }) => id)
  await trx.updateTable('runHistory').set({ runId: use.id }).where('runId', 'in', ids).execute()
  await trx.updateTable('outbox').set({ runId: use.id }).where('runId', 'in', ids).execute()
  await trx.deleteFrom('runs').where('id', 'in', ids).execute()
  const left = { ...run, uses: uses.filter((other) => !folded.includes(other)) }
  if (use.firstFileAt !== null) return left
  const loggerParameters = Object.assign(
    {},
    ...folded.map((other) => other.loggerParameters),
    use.loggerParameters,
  )
  const corrections = Object.assign({}, ...folded.map((other) => other.corrections), use.corrections)
  await trx
    .updateTable('runs')
    .set({ corrections: JSON.stringify(corrections) })
    .where('id', '=', use.id)
    .execute()
  return { ...left, use: { ...use, loggerParameters, corrections } }
}

function startAlerts(
  { tag, runNumber, use, uses }: LockedRun,
  startedEpoch: number,
  startTime: Parameters[string],
) {
  const run = { id: use.id, tag, runNumber }
  if (use.firstFileAt === null)
    return uses.some((other) => other.firstFileAt !== null && other.startedEpoch < startedEpoch)
      ? [reusedNumberAlert(run, startedEpoch, null)]
      : []
  const ofFile = use.fileParameters?.start_time
  return typeof startTime === 'string' && typeof ofFile === 'string' && startTime !== ofFile
    ? [differingStartAlert(run, startTime, ofFile)]
    : []
}

/** A number is not used again within so short a time: begins that are this near are of one run. */
const NEAR_SECONDS = 60

const isNear = (use: Run, startedEpoch: number) =>
  use.startedEpoch !== 0 && Math.abs(use.startedEpoch - startedEpoch) <= NEAR_SECONDS

const hasStartTime = (use: Run, startTime: Parameters[string] | undefined) =>
  typeof startTime === 'string' && use.parameters.start_time === startTime

/** When a run began is known now, or better than before. */
async function beganAt(
  trx: Trx,
  run: RunId,
  uses: readonly Run[],
  use: Run,
  startedEpoch: number,
): Promise<LockedRun> {
  await trx.updateTable('runs').set({ startedEpoch }).where('id', '=', use.id).execute()
  const known = { ...use, startedEpoch }
  return { ...run, use: known, uses: uses.map((other) => (other.id === use.id ? known : other)) }
}

/**
 * Looked at again, not taken for made: another transaction may have made the same use at this moment, or
 * another one.
 */
async function makeUse(trx: Trx, run: RunId, startedEpoch: number, at: Date): Promise<LockedRun> {
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
  const uses = await selectUses(trx, run)
  const use = uses.find((other) => other.startedEpoch === startedEpoch)
  if (use === undefined) throw new Error('a run vanished while it was locked')
  return { ...run, use, uses }
}

/** The same for the run that a catalogued file belongs to. */
export async function lockRunOfFile(trx: Trx, file: RunFile, at: Date): Promise<LockedRun> {
  const { tag, runNumber } = await trx
    .selectFrom('runs')
    .select(['tag', 'runNumber'])
    .where('id', '=', file.runId)
    .executeTakeFirstOrThrow()
  const { uses } = await lockUses(trx, { tag, runNumber }, at)
  const use = uses.find((candidate) => candidate.id === file.runId)
  if (use === undefined) throw new Error(`run ${runNumber} of ${tag} vanished while it was locked`)
  return { tag, runNumber, use, uses }
}

const selectUses = (trx: Trx, run: RunId) =>
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

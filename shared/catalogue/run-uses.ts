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
import { reusedNumberAlert } from './next-steps.ts'
import { takeLoggedRow } from './runlog.ts'
import { addHistory, type LockedRun, refreshRun } from './runs.ts'

type Trx = Transaction<Schema>

/**
 * Finds or makes the use of the run number that a file belongs to. `startedEpoch` is the begin of run by the
 * ODB, 0 when the file does not say, and `startTime` the same as MIDAS's text:
 * - known: the use that began then, or the one of the logger that waits for its file and has the same text,
 *   which states no offset. One that was catalogued without a known start is taken over when it has
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
  const awaiting = uses.find(
    (use) => use.firstFileAt === null && hasStartTime(use, file.startTime) && file.startedEpoch !== 0,
  )
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
  const shown = before.find((use) => use.isCurrent)
  const row = await takeLoggedRow(trx, run, shown ?? null)
  if (row === null) return false
  const { startTime, values } = row
  const startedEpoch = typeof startTime === 'string' ? (epochOfDaqTime(startTime) ?? 0) : 0
  const withoutStart = before.length === 1 ? before.find((use) => use.startedEpoch === 0) : undefined
  const found =
    startTime === null
      ? shown
      : (before.find((use) => use.startedEpoch === startedEpoch) ??
        before.find((use) => hasStartTime(use, startTime)) ??
        withoutStart)
  const { use, uses } =
    found === undefined
      ? await makeUse(trx, run, startedEpoch, at)
      : found.startedEpoch === 0
        ? await beganAt(trx, run, before, found, startedEpoch)
        : { use: found, uses: before }
  const known = { ...use, loggerParameters: { ...use.loggerParameters, ...values } }
  await trx
    .updateTable('runs')
    .set({ loggerParameters: JSON.stringify(known.loggerParameters) })
    .where('id', '=', use.id)
    .execute()
  await addHistory(trx, [{ runId: use.id, what: 'logged', detail: Object.keys(values).join(', ') }], at)
  if (
    use.firstFileAt === null &&
    uses.some((other) => other.fileCount > 0 && other.startedEpoch < startedEpoch)
  )
    await addRequests(trx, [reusedNumberAlert({ id: use.id, ...run }, startedEpoch, null)], at)
  await refreshRun(trx, { ...run, use: known, uses }, { at, newContent: false })
  return true
}

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

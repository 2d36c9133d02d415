/** The alerts of a run of the cleaner, each counted at most once a day. */
import type { Context } from '../../context.ts'
import type { Request } from '../../work/outbox.ts'
import type { Ended } from '../../work/raise-alert.ts'
import { raiseDaily, resolveRaised } from '../../work/raised-alerts.ts'
import { sendRequests } from '../../work/send-requests.ts'
import type { StoreUsage } from './clean-policy.ts'
import { type KeptFiles, keptFilesText } from './clean-reasons.ts'
import type { CleanedFile, CleanedRuns } from './clean-result.ts'

export interface FullStore {
  readonly room: StoreUsage
  readonly kept: KeptFiles
}

/**
 * Raises what is so, and ends what is over.
 * @param full null while the store has room, or while runs that are due can still be deleted.
 * @param hasRoom the store was below its high-water mark before this run, or has none.
 */
export async function reportCleaner(
  context: Context<'database' | 'queues' | 'tape'>,
  at: Date,
  cleaned: Pick<CleanedRuns, 'capReached' | 'refused' | 'failed'>,
  full: FullStore | null,
  hasRoom: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { database, config } = context
  const most = config.clean.mostRuns
  const [cap, fullStore] = [{ rule: 'cleaner-cap-reached' }, { rule: 'store-is-full' }] as const
  const raised: Request[] = []
  const ended: Ended[] = []
  if (cleaned.capReached) {
    const summary = `the cleaner deleted ${most} files of runs, its limit for one run (CYGNET_CLEAN_MOST_RUNS), and more were due`
    const facts = { deletedFiles: most }
    raised.push(await raiseDaily(database, { ...cap, severity: 'warning', summary, facts }, at))
  } else ended.push({ ...cap, summary: 'the cleaner deleted all that was due' })
  if (full !== null) {
    const { usedBytes, highBytes, capacityBytes } = full.room
    const facts = { usedBytes, highBytes, capacityBytes }
    const summary = fullSummary(context, full, cleaned)
    raised.push(await raiseDaily(database, { ...fullStore, severity: 'error', summary, facts }, at))
  } else if (hasRoom) ended.push({ ...fullStore, summary: 'the store is below its high-water mark' })
  await sendRequests(context, [...raised, ...(await resolveRaised(database, ended, at))], signal)
}

function fullSummary(
  { tape }: Context<'tape'>,
  { room, kept }: FullStore,
  { refused, failed }: Pick<CleanedRuns, 'refused' | 'failed'>,
): string {
  const percent = (bytes: number) => `${Math.round((bytes / room.capacityBytes) * 100)} %`
  return [
    `the store is ${percent(room.usedBytes)} full, above its high-water mark of ${percent(room.highBytes)}, and no more runs may be deleted from it now.`,
    ...(tape === null
      ? ['No tape endpoint is configured (CYGNET_TAPE_DRIVER), so no second copy can be verified.']
      : []),
    ...outcomeText('could not be deleted', failed),
    ...outcomeText('were refused just now', refused),
    `${keptFilesText(kept)}.`,
    'What to do: docs/runbook.md, "the disk is filling"',
  ].join(' ')
}

/** One example for all of them: mostly they have one cause. */
function outcomeText(outcome: string, files: readonly CleanedFile[]): readonly string[] {
  const [first] = files
  if (first === undefined) return []
  return [`${files.length} ${outcome}, e.g. run ${first.runNumber} of ${first.tag}: ${first.reason}.`]
}

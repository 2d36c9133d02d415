/** The alerts of a run of the cleaner, each raised at most once a day. */
import { alertRequest } from '../../catalogue/next-steps.ts'
import type { Context } from '../../context.ts'
import { addRequests } from '../../work/outbox.ts'
import { sendRequests } from '../../work/send-requests.ts'
import type { StoreUsage } from './clean-policy.ts'
import { type KeptFiles, keptFilesText } from './clean-reasons.ts'
import type { CleanedFile, CleanedRuns } from './clean-result.ts'

export interface FullStore {
  readonly room: StoreUsage
  readonly kept: KeptFiles
}

/** @param full null while the store has room, or while runs that are due can still be deleted. */
export async function raiseCleanerAlerts(
  context: Context<'database' | 'queues' | 'tape'>,
  at: Date,
  cleaned: Pick<CleanedRuns, 'capReached' | 'refused' | 'failed'>,
  full: FullStore | null,
  signal: AbortSignal,
): Promise<void> {
  const common = {
    tag: null,
    runNumber: null,
    runId: null,
    object: null,
    occurrence: at.toISOString().slice(0, 10),
  }
  const most = context.config.clean.mostRuns
  const capSummary = `the cleaner deleted ${most} files of runs, its limit for one run (CYGNET_CLEAN_MOST_RUNS), and more were due`
  const alerts = [
    ...(cleaned.capReached
      ? [alertRequest({ rule: 'cleaner-cap-reached', severity: 'warning', summary: capSummary, ...common })]
      : []),
    ...(full === null
      ? []
      : [
          alertRequest({
            rule: 'store-is-full',
            severity: 'error',
            summary: fullSummary(context, full, cleaned),
            ...common,
          }),
        ]),
  ]
  if (alerts.length === 0) return
  await addRequests(context.database, alerts, at)
  await sendRequests(context, alerts, signal)
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

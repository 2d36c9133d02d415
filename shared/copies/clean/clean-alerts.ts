/** What people are told of a run of the cleaner, each at most once a day. */
import { alertRequest } from '../../catalogue/next-steps.ts'
import type { Context } from '../../context.ts'
import { addRequests } from '../../work/outbox.ts'
import { sendRequests } from '../../work/send-requests.ts'
import type { StoreRoom } from './clean-policy.ts'
import { reasonsText, type WhyTheyStay } from './clean-reasons.ts'
import type { CleanedFile, CleanedRuns } from './clean-result.ts'

export interface StoreIsFull {
  readonly room: StoreRoom
  readonly why: WhyTheyStay
}

/** @param full null while the store has room, or room is being made. */
export async function tellPeople(
  context: Context<'database' | 'queues' | 'tape'>,
  at: Date,
  cleaned: Pick<CleanedRuns, 'capReached' | 'refused' | 'failed'>,
  full: StoreIsFull | null,
  signal: AbortSignal,
): Promise<void> {
  const about = {
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
      ? [alertRequest({ rule: 'cleaner-cap-reached', severity: 'warning', summary: capSummary, ...about })]
      : []),
    ...(full === null
      ? []
      : [
          alertRequest({
            rule: 'store-is-full',
            severity: 'error',
            summary: fullSummary(context, full, cleaned),
            ...about,
          }),
        ]),
  ]
  if (alerts.length === 0) return
  await addRequests(context.database, alerts, at)
  await sendRequests(context, alerts, signal)
}

function fullSummary(
  { tape }: Context<'tape'>,
  { room, why }: StoreIsFull,
  { refused, failed }: Pick<CleanedRuns, 'refused' | 'failed'>,
): string {
  const percent = (bytes: number) => `${Math.round((bytes / room.capacityBytes) * 100)} %`
  return [
    `the store is ${percent(room.usedBytes)} full, above its high-water mark of ${percent(room.highBytes)}, and no more runs may leave it now.`,
    ...(tape === null
      ? ['No tape endpoint is configured (CYGNET_TAPE_DRIVER), so that no second copy can be verified.']
      : []),
    ...tried('could not be deleted', failed),
    ...tried('were refused just now', refused),
    `${reasonsText(why)}.`,
    'What to do: docs/runbook.md, "the disk is filling"',
  ].join(' ')
}

/** The first stands for the others: mostly it is one cause. */
function tried(how: string, files: readonly CleanedFile[]): readonly string[] {
  const [first] = files
  if (first === undefined) return []
  return [`${files.length} ${how}, e.g. run ${first.runNumber} of ${first.tag}: ${first.reason}.`]
}

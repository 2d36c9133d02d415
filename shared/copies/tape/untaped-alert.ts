/** Alerts for runs without a copy on tape, not even a requested one. */
import { alertRequest } from '../../catalogue/next-steps.ts'
import type { Context } from '../../context.ts'
import { tagsWithRuns } from '../../queries/site-state.ts'
import { untapedRuns } from '../../queries/untaped-runs.ts'
import { addRequests } from '../../work/outbox.ts'
import { sendRequests } from '../../work/send-requests.ts'

/**
 * One alert a tag and day for runs that have no copy on tape CYGNET_TAPE_LATE_HOURS after they arrived. Needs
 * no tape endpoint, and is not raised by the function that requests the copies: that one may not run at all.
 */
export async function alertUntapedRuns(
  context: Context<'database' | 'queues'>,
  signal: AbortSignal,
): Promise<void> {
  const { database, config } = context
  const at = context.now()
  const hours = config.tape.lateHours
  const tags = await tagsWithRuns(database, '*')
  const untaped = await untapedRuns(database, tags, new Date(at.getTime() - hours * 3_600_000))
  const without = config.tape.driver === 'none' ? ' (no tape driver is configured)' : ''
  const alerts = [...untaped].map(([tag, { runs, first, atLeast }]) => {
    const many = `${runs}${atLeast ? ' or more runs' : runs === 1 ? ' run' : ' runs'} of ${tag}`
    return alertRequest({
      rule: 'no-copy-on-tape',
      severity: 'error',
      summary: `${many} without any copy on tape ${hours} hours after arrival${without}, the first is run ${first.runNumber} of ${first.arrivedAt.toISOString()}`,
      tag,
      runNumber: null,
      runId: null,
      object: null,
      occurrence: `${tag}:${at.toISOString().slice(0, 10)}`,
    })
  })
  await addRequests(database, alerts, at)
  await sendRequests(context, alerts, signal)
}

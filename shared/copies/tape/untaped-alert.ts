/** Alerts for runs without a copy on tape, not even a requested one. */
import type { Context } from '../../context.ts'
import { tagsWithRuns } from '../../queries/site-state.ts'
import { untapedRuns } from '../../queries/untaped-runs.ts'
import { raiseDaily, raisedOf, resolveRaised } from '../../work/raised-alerts.ts'
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
  const rule = 'no-copy-on-tape'
  const ended = (await raisedOf(database, rule))
    .filter(({ tag }) => tag !== null && !untaped.has(tag))
    .map(
      ({ tag }) =>
        ({ rule, tag, summary: `every new run of ${tag} has a copy on tape, or a requested one` }) as const,
    )
  const requests = [...(await resolveRaised(database, ended, at))]
  for (const [tag, { runs, first, atLeast }] of untaped) {
    const many = `${runs}${atLeast ? ' or more runs' : runs === 1 ? ' run' : ' runs'} of ${tag}`
    const summary = `${many} without any copy on tape ${hours} hours after arrival${without}, the first is run ${first.runNumber} of ${first.arrivedAt.toISOString()}`
    const facts = { runs, firstRun: first.runNumber, firstArrivedAt: first.arrivedAt.toISOString() }
    requests.push(await raiseDaily(database, { rule, severity: 'error', tag, summary, facts }, at))
  }
  await sendRequests(context, requests, signal)
}

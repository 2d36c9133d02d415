/** Alerts about runs that the DAQ's logger recorded and that have no file long after they ended. */
import { type SqlBool, sql } from 'kysely'
import { OTHER_TAGS } from '../catalogue/take-over.ts'
import type { Context } from '../context.ts'
import type { Database } from '../database/connect.ts'
import type { Request } from '../work/outbox.ts'
import { raiseDaily, raisedOf, resolveRaised } from '../work/raised-alerts.ts'
import { sendRequests } from '../work/send-requests.ts'

const DAY_MS = 86_400_000
/** Longer than any run: holds also for runs whose end the logger did not record. */
const LATE_MS = DAY_MS
/** Older runs were never meant to have a file here, or have been reported every day. */
const REPORTED_MS = 7 * DAY_MS
const MOST_RUNS = 1000
const MOST_NAMED = 10

const TAKE_OVER = sql`COALESCE((SELECT since FROM take_overs WHERE tag = runs.tag),
  (SELECT since FROM take_overs WHERE tag = ${OTHER_TAGS}))`
/**
 * Not a run of an old Runlog that was read in: it began before the take-over time of its tag or, if its begin
 * is unknown, a run with a higher number did.
 */
const IS_SINCE_TAKE_OVER = sql<SqlBool>`CASE WHEN runs.started_at IS NOT NULL
  THEN runs.started_at >= COALESCE(${TAKE_OVER}, runs.started_at)
  ELSE NOT EXISTS (SELECT 1 FROM runs later WHERE later.tag = runs.tag AND later.is_current = 1
    AND later.run_number > runs.run_number AND later.started_at < ${TAKE_OVER}) END`

/**
 * One alert per tag, counted once a day: a broken uploader is one condition, however many runs it delays. It has ended
 * when all runs that it may have named have files, however old they are by then.
 */
export async function alertAwaitedFiles(
  context: Context<'database' | 'queues'>,
  signal: AbortSignal,
): Promise<void> {
  const { database } = context
  const at = context.now()
  const before = new Date(at.getTime() - LATE_MS)
  const reportedFrom = (since: Date) => new Date(since.getTime() - REPORTED_MS)
  const runs = await awaitedRuns(database, reportedFrom(at), before)
  const requests: Request[] = []
  for (const [tag, own] of Map.groupBy(runs, (run) => run.tag)) {
    const named = own.slice(0, MOST_NAMED).map((run) => run.runNumber)
    const more = own.length > named.length ? ` and ${own.length - named.length} more` : ''
    const summary = `runs of ${tag} that the DAQ's logger wrote down have no file a day after they ended: ${named.join(', ')}${more}`
    const found = {
      rule: 'file-awaited',
      severity: 'warning',
      tag,
      summary,
      facts: { runs: own.length },
    } as const
    requests.push(await raiseDaily(database, found, at))
  }
  for (const { tag, since } of await raisedOf(database, 'file-awaited')) {
    if (tag === null || runs.some((run) => run.tag === tag)) continue
    if ((await awaitedRuns(database, reportedFrom(since), before, tag)).length > 0) continue
    const ended = { rule: 'file-awaited', tag, summary: `all runs of ${tag} have files` } as const
    requests.push(...(await resolveRaised(database, [ended], at)))
  }
  await sendRequests(context, requests, signal)
}

/** Runs without a file that began between the two times. */
const awaitedRuns = (database: Database, earliest: Date, before: Date, tag?: string) =>
  database
    .selectFrom('runs')
    .select(['tag', 'runNumber'])
    .where('isCurrent', '=', true)
    .where('firstFileAt', 'is', null)
    // Without a start time from the logger, the age of the run is that of its row.
    .where((where) =>
      where.or([
        where.and([where('startedAt', '>=', earliest), where('startedAt', '<', before)]),
        where.and([
          where('startedAt', 'is', null),
          where('cataloguedAt', '>=', earliest),
          where('cataloguedAt', '<', before),
        ]),
      ]),
    )
    .where((where) => where.or([where('stoppedAt', 'is', null), where('stoppedAt', '<', before)]))
    .where(IS_SINCE_TAKE_OVER)
    .$if(tag !== undefined, (query) => query.where('tag', '=', tag ?? ''))
    .orderBy('startedAt')
    .orderBy('id')
    .limit(MOST_RUNS)
    .execute()

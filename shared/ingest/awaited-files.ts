/** Alerts about runs that the DAQ's logger recorded and that have no file long after they ended. */
import { type SqlBool, sql } from 'kysely'
import { alertRequest } from '../catalogue/next-steps.ts'
import { OTHER_TAGS } from '../catalogue/take-over.ts'
import type { Context } from '../context.ts'
import { addRequests } from '../work/outbox.ts'
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

/** One alert per tag and day: a broken uploader is one condition, however many runs it delays. */
export async function alertAwaitedFiles(
  context: Context<'database' | 'queues'>,
  signal: AbortSignal,
): Promise<void> {
  const at = context.now()
  const before = new Date(at.getTime() - LATE_MS)
  const earliest = new Date(at.getTime() - REPORTED_MS)
  const runs = await context.database
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
    .orderBy('startedAt')
    .orderBy('id')
    .limit(MOST_RUNS)
    .execute()
  const alerts = [...Map.groupBy(runs, (run) => run.tag)].map(([tag, own]) => {
    const named = own.slice(0, MOST_NAMED).map((run) => run.runNumber)
    const more = own.length > named.length ? ` and ${own.length - named.length} more` : ''
    return alertRequest({
      rule: 'file-awaited',
      severity: 'warning',
      summary: `runs of ${tag} that the DAQ's logger wrote down have no file a day after they ended: ${named.join(', ')}${more}`,
      tag,
      runNumber: null,
      runId: null,
      object: null,
      occurrence: `${tag}:${at.toISOString().slice(0, 10)}`,
    })
  })
  await addRequests(context.database, alerts, at)
  await sendRequests(context, alerts, signal)
}

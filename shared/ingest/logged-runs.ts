/**
 * Catalogues runs from the rows that the DAQ's logger writes into the legacy Runlog, before any of their
 * files arrives. How the logger writes: docs/deploy/logger.md.
 */
import { sql } from 'kysely'
import { lockGenerations } from '../catalogue/run-generations.ts'
import type { Context } from '../context.ts'
import { type Database, inTransaction } from '../database/connect.ts'
import { isTag, type RunId } from '../run.ts'
import { cutText } from '../text.ts'
import { addRequests } from '../work/outbox.ts'
import { alert } from '../work/raise-alert.ts'

/**
 * Rows read in one call, of those that have waited longest and of the newest: a run that is being taken does not
 * wait until an old Runlog was read in. The next scheduled calls read the rest.
 */
const LONGEST_WAITING = 400
const NEWEST = 100

/**
 * Takes every row of the Runlog that the logger has written since the last call: from then on the run exists,
 * and its end is recorded. Each row has its own transaction: a row that fails is logged and tried again after
 * the waiting ones; a row with an impossible tag is alerted.
 * @returns how many rows had anything new about a run.
 */
export async function takeLoggedRuns({
  database,
  now,
  log,
}: Pick<Context<'database'>, 'database' | 'now' | 'log'>): Promise<number> {
  const { rows } = await sql<RunId>`
    (SELECT tag, run_number FROM Runlog WHERE logged_at IS NOT NULL ORDER BY logged_at LIMIT ${LONGEST_WAITING})
    UNION (SELECT tag, run_number FROM Runlog WHERE logged_at IS NOT NULL ORDER BY logged_at DESC LIMIT ${NEWEST})`.execute(
    database,
  )
  let taken = 0
  for (const run of rows)
    try {
      if (!isTag(run.tag)) await refuseRow(database, run, now())
      else if ((await inTransaction(database, (trx) => lockGenerations(trx, run, now()))).logged) taken++
    } catch (error) {
      log.error({ error, tag: run.tag, run: run.runNumber }, 'logged-run-not-taken')
      await sql`UPDATE Runlog SET logged_at = CURRENT_TIMESTAMP(3)
        WHERE tag = ${run.tag} AND run_number = ${run.runNumber} AND logged_at IS NOT NULL`.execute(database)
    }
  return taken
}

/** One alert per tag, counted once a day: a logger without its tag is one condition, however many runs it writes. */
async function refuseRow(database: Database, { tag, runNumber }: RunId, at: Date): Promise<void> {
  const named = JSON.stringify(tag)
  const subject = cutText(named, 200)
  const unusable = alert({
    rule: 'runlog-tag-unusable',
    severity: 'error',
    subject,
    summary: `the Runlog has rows of the tag ${named}, which no run can have: they make no run, e.g. ${runNumber}`,
    facts: { runNumber },
    cause: `${subject}:${at.toISOString().slice(0, 10)}`,
  })
  await inTransaction(database, async (trx) => {
    await addRequests(trx, [unusable], at)
    await sql`UPDATE Runlog SET logged_at = NULL WHERE tag = ${tag} AND run_number = ${runNumber}`.execute(
      trx,
    )
  })
}

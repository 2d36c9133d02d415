/**
 * Refused notifications, counted in the catalogue: a process may live shorter than the time between two of them, and
 * replicas share the requests of a sender.
 */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { Request } from '../work/outbox.ts'
import { raiseDaily } from '../work/raised-alerts.ts'

const ALERTED_COUNT = 10
/** A short failure of ours, after which the store sends again, is over by then. */
const ALERTED_MS = 15 * 60_000
/** After so long without a refusal, the next one is the first. */
const REST = sql`INTERVAL 1 DAY`
const NOW = sql<Date>`UTC_TIMESTAMP(3)`

export interface RefusedNotifications {
  readonly reason: string
  /** Address of the last sender; null where it is not known. */
  readonly source: string | null
  /** Since they were last noted by this process. */
  readonly count: number
}

/**
 * Adds refusals to those of their reason, less than a day apart. People are alerted of ten of them, and of fewer that
 * go on for a quarter of an hour, once a day.
 * @returns the alert that was written, to be sent.
 */
export async function noteRefusals(
  database: Database,
  { reason, source, count }: RefusedNotifications,
  at: Date,
): Promise<readonly Request[]> {
  return await database.transaction().execute(async (transaction) => {
    const isOver = sql`refused_at < ${NOW} - ${REST}`
    // MariaDB assigns from left to right: what is compared is assigned last.
    await sql`
      INSERT INTO refused_notifications (reason, times, since, refused_at)
      VALUES (${reason}, ${count}, ${NOW}, ${NOW})
      ON DUPLICATE KEY UPDATE
        times = IF(${isOver}, 0, times) + ${count},
        since = IF(${isOver}, ${NOW}, since),
        refused_at = ${NOW}`.execute(transaction)
    const { times, since, refusedAt } = await transaction
      .selectFrom('refusedNotifications')
      .selectAll()
      .where('reason', '=', reason)
      .executeTakeFirstOrThrow()
    if (times < ALERTED_COUNT && refusedAt.getTime() - since.getTime() < ALERTED_MS) return []
    const summary = `receive-notification refused ${times} requests since ${since.toISOString().slice(0, 16)}Z, the last one of ${source ?? 'an unknown address'}: ${reason}. Runs are found by listings, minutes later; see "cygnet notifications show"`
    const facts = { requests: times, since: since.toISOString(), source: source ?? 'unknown' }
    const about = { rule: 'notifications-refused', severity: 'error', subject: reason } as const
    return [await raiseDaily(transaction, { ...about, summary, facts }, at)]
  })
}

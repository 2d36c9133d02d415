/** Recent alerts, read from the outbox: an alert is a request to the queue `alerts`. */
import { sql } from 'kysely'
import type * as z from 'zod'
import type { Database } from '../database/connect.ts'
import { shownAlert } from '../messages/alerts.ts'
import type { VisibleTags } from './site-state.ts'

export type Alert = z.infer<typeof shownAlert> & { readonly id: number; readonly at: Date }

/**
 * The outbox is ordered only by id, and most of its rows are not alerts: only this many of the latest rows
 * are searched.
 */
const SEARCHED_ROWS = 20_000

/**
 * Newest first. An alert without a tag (an endpoint, a queue) is shown only to callers who may see all tags.
 */
export async function recentAlerts(
  database: Database,
  tags: VisibleTags,
  since: Date,
  limit: number,
): Promise<readonly Alert[]> {
  const rows = await database
    .selectFrom('outbox')
    .select(['id', 'createdAt as at', 'body'])
    .where(
      'id',
      '>',
      sql<number>`(SELECT CAST(COALESCE(MAX(id), 0) AS SIGNED) - ${SEARCHED_ROWS} FROM outbox)`,
    )
    .where('queue', '=', 'alerts')
    .where('createdAt', '>=', since)
    .$if(tags !== '*', (query) => query.where(sql<boolean>`JSON_VALUE(body, '$.tag') IN (${namesOf(tags)})`))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.flatMap(alertsOf)
}

const alertsOf = ({ id, at, body }: { readonly id: number; readonly at: Date; readonly body: string }) => {
  const parsed = shownAlert.safeParse(JSON.parse(body))
  return parsed.success ? [{ ...parsed.data, id, at }] : []
}

/** The last alert, of about a month at most, of each tag whose old objects wait for a take-over time. */
export async function heldTagAlerts(
  database: Database,
  tags: VisibleTags,
  now: Date,
): Promise<readonly Alert[]> {
  const tag = sql<string | null>`JSON_VALUE(body, '$.tag')`
  const rows = await database
    .selectFrom('outbox')
    .select(['id', 'createdAt as at', 'body'])
    .where('name', 'like', 'alert:tag-not-adopted:%')
    .where('createdAt', '>=', new Date(now.getTime() - MONTH_MS))
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('takeOvers')
            .select('takeOvers.tag')
            .where((own) => own.or([own('takeOvers.tag', '=', tag), own('takeOvers.tag', '=', '*')])),
        ),
      ),
    )
    .$if(tags !== '*', (query) => query.where(sql<boolean>`${tag} IN (${namesOf(tags)})`))
    .orderBy('id', 'desc')
    .execute()
  const alerts = rows.flatMap(alertsOf)
  return alerts.filter((alert, index) => alerts.findIndex((other) => other.tag === alert.tag) === index)
}

/** They are alerted again each calendar month. */
const MONTH_MS = 31 * 86_400_000

const namesOf = (tags: VisibleTags) => (tags === '*' || tags.length === 0 ? sql`NULL` : sql.join(tags))

/** What people were told, read from the outbox: an alert is a request to the queue `alerts`. */
import { sql } from 'kysely'
import type * as z from 'zod'
import type { Database } from '../database/connect.ts'
import { shownAlert } from '../messages/alerts.ts'
import type { VisibleTags } from './site-state.ts'

export type Alert = z.infer<typeof shownAlert> & { readonly id: number; readonly at: Date }

/**
 * The outbox has no order but that of its ids, and most of it are no alerts: so much of its end is looked
 * through.
 */
const LOOKED_THROUGH = 20_000

/** The latest first. An alert that is about no tag (an endpoint, a queue) is for those who see all tags. */
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
      sql<number>`(SELECT CAST(COALESCE(MAX(id), 0) AS SIGNED) - ${LOOKED_THROUGH} FROM outbox)`,
    )
    .where('queue', '=', 'alerts')
    .where('createdAt', '>=', since)
    .$if(tags !== '*', (query) => query.where(sql<boolean>`JSON_VALUE(body, '$.tag') IN (${namesOf(tags)})`))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.flatMap(({ id, at, body }) => {
    const parsed = shownAlert.safeParse(JSON.parse(body))
    return parsed.success ? [{ ...parsed.data, id, at }] : []
  })
}

const namesOf = (tags: VisibleTags) => (tags === '*' || tags.length === 0 ? sql`NULL` : sql.join(tags))

/** Alerts as pages, lists and the API show them: episodes, from the table `alerts`. */
import { type SqlBool, sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { Severity } from '../messages/alert-rules.ts'
import type { VisibleTags } from './site-state.ts'

export type AlertState = 'firing' | 'acknowledged' | 'resolved'

/** One episode: a condition from when it was found until it ended. */
export interface Alert {
  readonly id: number
  /** The same for all episodes of the condition. */
  readonly fingerprint: string
  /** Text: it may be a rule of an earlier version. */
  readonly rule: string
  readonly severity: Severity
  /** Acknowledged: it lasts, and somebody takes care. */
  readonly state: AlertState
  readonly tag: string | null
  readonly runNumber: number | null
  readonly bucket: string | null
  readonly key: string | null
  /** The endpoint, bucket, machine … that it is about; empty where it is a run or file. */
  readonly subject: string
  readonly summary: string
  readonly since: Date
  readonly lastSeen: Date
  readonly count: number
  readonly acknowledgedAt: Date | null
  readonly acknowledgedBy: string | null
  readonly comment: string | null
  readonly resolvedAt: Date | null
  readonly resolvedBy: string | null
}

const STATE = sql<AlertState>`IF(resolved_at IS NOT NULL, 'resolved', IF(acknowledged_at IS NOT NULL, 'acknowledged', 'firing'))`

/** Of all tags, or of those that may be seen. An alert without a tag is shown only to callers who may see all tags. */
export const selectAlerts = (database: Database, tags: VisibleTags) =>
  database
    .selectFrom('alerts')
    .select([
      'id',
      'fingerprint',
      'rule',
      'severity',
      STATE.as('state'),
      'tag',
      'runNumber',
      'bucket',
      'objectKey as key',
      'subject',
      'summary',
      'since',
      'lastSeen',
      'count',
      'acknowledgedAt',
      'acknowledgedBy',
      'comment',
      'resolvedAt',
      'resolvedBy',
    ])
    .$if(tags !== '*', (query) => query.where('tag', 'in', tags === '*' || tags.length === 0 ? [''] : tags))

/** Those in these states. */
export const isInState = (states: readonly AlertState[]) =>
  states.length === 0 ? sql<SqlBool>`FALSE` : sql<SqlBool>`${STATE} IN (${sql.join(states)})`

/** What fires now, whether acknowledged or not; newest first. */
export const openAlerts = (database: Database, tags: VisibleTags, limit: number): Promise<readonly Alert[]> =>
  selectAlerts(database, tags)
    .where('resolvedAt', 'is', null)
    .orderBy('since', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()

/** Most episodes of a run that are shown. */
const MOST_OF_RUN = 100

/**
 * The alerts about a run or its files, newest first. What was found before the run was in the catalogue has its number
 * only: of that, what fires.
 */
export async function alertsOfRun(
  database: Database,
  run: { readonly id: number; readonly tag: string; readonly runNumber: number },
): Promise<readonly Alert[]> {
  const all = selectAlerts(database, '*').orderBy('id', 'desc').limit(MOST_OF_RUN)
  const [own, named] = await Promise.all([
    all.where('runId', '=', run.id).execute(),
    all
      .where('runId', 'is', null)
      .where('resolvedAt', 'is', null)
      .where('tag', '=', run.tag)
      .where('runNumber', '=', run.runNumber)
      .execute(),
  ])
  return [...own, ...named].toSorted((a, b) => b.id - a.id)
}

/** The tags whose old objects wait for a take-over time; null stands for objects without a tag. */
export async function heldTags(database: Database, tags: VisibleTags): Promise<readonly (string | null)[]> {
  const rows = await selectAlerts(database, tags)
    .where('rule', '=', 'tag-not-adopted')
    .where('resolvedAt', 'is', null)
    // A time that was set a moment ago counts at once.
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('takeOvers')
            .select('takeOvers.tag')
            .where((own) =>
              own.or([own('takeOvers.tag', '=', own.ref('alerts.tag')), own('takeOvers.tag', '=', '*')]),
            ),
        ),
      ),
    )
    .orderBy('id', 'desc')
    .execute()
  return [...new Set(rows.map(({ tag }) => tag))]
}

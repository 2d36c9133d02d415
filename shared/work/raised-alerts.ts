/**
 * Which conditions are raised now, and the writing of what changes that: conditions that last and are found again and
 * again, and ends that are written only where there is something to end.
 *
 * @example
 * await resolveRaised(trx, [{ rule: 'listing-fails', subject: bucket, summary: `${bucket} is listed again` }], at)
 */
import { sql } from 'kysely'
import type { Executor } from '../database/connect.ts'
import type { AlertRule } from '../messages/alert-rules.ts'
import { alerts } from '../messages/alerts.ts'
import { addRequests, type Request } from './outbox.ts'
import { alert, type Ended, endOf, fingerprintOfCondition, resolved } from './raise-alert.ts'

type Found<Rule extends AlertRule> = Omit<Parameters<typeof alert<Rule>>[0], 'cause'>

/**
 * Writes that a condition was found that may last for days: it counts once a day (UTC), and again after its end.
 * @returns the request, also where it was written before.
 */
export async function raiseDaily<Rule extends AlertRule>(
  executor: Executor,
  found: Found<Rule>,
  at: Date,
): Promise<Request> {
  const fingerprint = fingerprintOfCondition(found)
  const { ends } = await executor
    .selectFrom('outbox')
    .select((of) => of.fn.countAll<number>().as('ends'))
    .where('name', 'like', `${endOf({ rule: found.rule, fingerprint })}%`)
    .executeTakeFirstOrThrow()
  const request = alert({ ...found, cause: `${fingerprint}:${at.toISOString().slice(0, 10)}:${ends}` })
  await addRequests(executor, [request], at)
  return request
}

/**
 * Writes the ends of those conditions that are raised: in the transaction that ends them, and mostly nothing.
 * @returns what was written, to be sent.
 */
export async function resolveRaised(
  executor: Executor,
  ended: readonly Ended[],
  at: Date,
): Promise<readonly Request[]> {
  const byFingerprint = new Map(ended.map((condition) => [fingerprintOfCondition(condition), condition]))
  const raised = await raisedAmong(executor, [...byFingerprint.keys()])
  const requests = raised.flatMap((fingerprint) => {
    const condition = byFingerprint.get(fingerprint)
    return condition === undefined ? [] : [resolved(condition)]
  })
  await addRequests(executor, requests, at)
  return requests
}

/**
 * By the last request that waits, or where none does by the open episode. In one statement: between two of them a
 * request may become an episode.
 */
async function raisedAmong(executor: Executor, fingerprints: readonly string[]): Promise<readonly string[]> {
  if (fingerprints.length === 0) return []
  const ofRequest = sql`JSON_VALUE(body, '$.fingerprint')`
  const { rows } = await sql<{ fingerprint: string; kind: string }>`
    SELECT 0 AS id, open_fingerprint AS fingerprint, 'raise' AS kind FROM alerts
      WHERE open_fingerprint IN (${sql.join(fingerprints)})
    UNION ALL SELECT id, ${ofRequest}, JSON_VALUE(body, '$.kind') FROM outbox
      WHERE queue = 'alerts' AND folded_at IS NULL AND ${ofRequest} IN (${sql.join(fingerprints)})
    ORDER BY id`.execute(executor)
  const last = new Map(rows.map(({ fingerprint, kind }) => [fingerprint, kind]))
  return fingerprints.filter((fingerprint) => last.get(fingerprint) === 'raise')
}

/** A raised condition that is about no run and no object. */
export interface Raised {
  readonly subject: string
  readonly tag: string | null
  /** When it was found first. */
  readonly since: Date
}

/** The raised conditions of a rule that is about no run and no object, each once. */
export async function raisedOf(executor: Executor, rule: AlertRule): Promise<readonly Raised[]> {
  // Requests first: between the two statements one of them may become an episode.
  const requests = await executor
    .selectFrom('outbox')
    .select(['body', 'createdAt as since'])
    .where('queue', '=', 'alerts')
    .where('foldedAt', 'is', null)
    .where('name', 'like', `alert:${rule}:%`)
    .orderBy('id')
    .execute()
  const episodes = await executor
    .selectFrom('alerts')
    .select(['subject', 'tag', 'since'])
    .where('rule', '=', rule)
    .where('resolvedAt', 'is', null)
    .execute()
  const found = requests.map(({ body, since }) => {
    const { subject, tag } = alerts.parse(body)
    return { subject, tag: tag ?? null, since }
  })
  const byAbout = Map.groupBy([...episodes, ...found], ({ subject, tag }) => JSON.stringify([subject, tag]))
  return [...byAbout.values()].flatMap(([first]) => first ?? [])
}

/**
 * Alerts: one call from any use case, whose request is written in the transaction of its cause. What follows (episodes,
 * silences, channels) is in shared/alerts.
 *
 * @example
 * await addRequests(trx, [alert({ rule: 'incomplete-file', severity: 'warning', run, object, summary, cause })], at)
 */
import { createHash, randomUUID } from 'node:crypto'
import type { CataloguedRun } from '../database/schema.ts'
import { type Attachment, type Facts, fingerprintOf, labelsOf } from '../messages/alert-labels.ts'
import type { AlertRule, SeverityOf } from '../messages/alert-rules.ts'
import type { ObjectName } from '../run.ts'
import type { Request } from './outbox.ts'

/** What an alert of this rule is about. Rule, subject, tag, run and object identify the condition. */
interface About<Rule extends AlertRule> {
  readonly rule: Rule
  readonly severity: SeverityOf<Rule>
  /** The endpoint, bucket, queue, machine … where it is about no run or object. */
  readonly subject?: string
  /** Left out: the run's. */
  readonly tag?: string | null
  /** `id` null: it is not in the catalogue. */
  readonly run?: (Pick<CataloguedRun, 'tag' | 'runNumber'> & { readonly id: number | null }) | null
  readonly object?: ObjectName | null
  /** One sentence for a person: what, and what to do. */
  readonly summary: string
  readonly facts?: Facts
  readonly attachment?: Attachment
  /**
   * The same cause counts once, however often the work that found it is repeated: the version of an object, a day,
   * the begin of an outage. Left out: every call counts.
   */
  readonly cause?: string
}

/** The condition was found. */
export const alert = <Rule extends AlertRule>(about: About<Rule>): Request => request('raise', about)

/** The condition has ended: its episode is resolved. Without an open episode nothing happens. */
export const resolved = <Rule extends AlertRule>(about: About<Rule>): Request => request('resolve', about)

/** Of the name of a request, characters; of a longer cause the digest. */
const LONGEST_CAUSE = 200
const namedBy = (cause: string): string =>
  cause.length <= LONGEST_CAUSE ? cause : createHash('sha256').update(cause).digest('hex')

function request<Rule extends AlertRule>(kind: 'raise' | 'resolve', about: About<Rule>): Request {
  const { rule, severity, subject = '', run = null, object = null, summary, facts = {}, cause } = about
  const { tag = run?.tag ?? null, attachment = null } = about
  const body = {
    rule,
    severity,
    subject,
    tag,
    runNumber: run?.runNumber ?? null,
    bucket: object?.bucket ?? null,
    key: object?.key ?? null,
  }
  const labels = labelsOf(body)
  const fingerprint = fingerprintOf(labels)
  const name = `${rule}:${namedBy(cause ?? randomUUID())}`
  return {
    name: kind === 'raise' ? `alert:${name}` : `resolved:${name}`,
    queue: 'alerts',
    runId: run?.id ?? null,
    body: { kind, fingerprint, labels, ...body, summary, facts, attachment },
  }
}

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
import { ALERT_RULES, type AlertRule, type Severity, type SeverityOf } from '../messages/alert-rules.ts'
import type { ObjectName } from '../run.ts'
import type { Request } from './outbox.ts'

/** What identifies a condition: the same one has the same values each time that it is found, and at its end. */
export interface Condition<Rule extends AlertRule = AlertRule> {
  readonly rule: Rule
  /**
   * The endpoint, bucket, queue, machine … where it is about no run or object, or which of their copies. Never a
   * time or a count.
   */
  readonly subject?: string
  /** Left out: the run's. */
  readonly tag?: string | null
  /** `id` null: it is not in the catalogue. */
  readonly run?: (Pick<CataloguedRun, 'tag' | 'runNumber'> & { readonly id: number | null }) | null
  readonly object?: ObjectName | null
  /** Left out: the object's. */
  readonly bucket?: string | null
  /** Where it is about a copy: the SHA-256 of what it is a copy of. A key may have had several contents. */
  readonly contents?: string
}

interface Found<Rule extends AlertRule> extends Condition<Rule> {
  readonly severity: SeverityOf<Rule>
  /** One sentence for a person: what, and what to do. */
  readonly summary: string
  /** The numbers of the summary that a person wants to see at a glance, with units in the names. */
  readonly facts?: Facts
  readonly attachment?: Attachment
  /**
   * The same cause counts once, however often the work that found it is repeated: the version of an object, a day,
   * the begin of an outage. A condition that returns after its end needs another cause. Left out: every call counts.
   */
  readonly cause?: string
}

/** A condition that has ended, with a sentence for people. */
export interface Ended<Rule extends AlertRule = AlertRule> extends Condition<Rule> {
  readonly summary: string
}

/** Of the name of a request, characters; of a longer cause the digest. */
const LONGEST_CAUSE = 200
const namedBy = (cause: string): string =>
  cause.length <= LONGEST_CAUSE ? cause : createHash('sha256').update(cause).digest('hex')

/** The condition was found. */
export function alert<Rule extends AlertRule>(found: Found<Rule>): Request {
  const { rule, severity, summary, facts = {}, attachment = null, cause = randomUUID() } = found
  return {
    name: `alert:${rule}:${namedBy(cause)}`,
    queue: 'alerts',
    runId: found.run?.id ?? null,
    body: { kind: 'raise', ...identityOf(found, severity), summary, facts, attachment },
  }
}

/**
 * The condition has ended: its episode is resolved. Without an open episode nothing happens; `resolveRaised` writes
 * it only if there is one.
 */
export function resolved<Rule extends AlertRule>(ended: Ended<Rule>): Request {
  const { rule, summary } = ended
  const identity = identityOf(ended, ALERT_RULES[rule].severities[0])
  return {
    name: `${endOf(identity)}${randomUUID()}`,
    queue: 'alerts',
    runId: ended.run?.id ?? null,
    body: { kind: 'resolve', ...identity, summary, facts: {}, attachment: null },
  }
}

/** Begins the names of all ends of a condition. */
export const endOf = ({
  rule,
  fingerprint,
}: {
  readonly rule: AlertRule
  readonly fingerprint: string
}): string => `resolved:${rule}:${fingerprint}:`

export const fingerprintOfCondition = (condition: Condition): string =>
  identityOf(condition, ALERT_RULES[condition.rule].severities[0]).fingerprint

function identityOf(condition: Condition, severity: Severity) {
  const { rule, subject = '', run = null, object = null, contents } = condition
  const { tag = run?.tag ?? null, bucket = object?.bucket ?? null } = condition
  const about = { rule, severity, subject, tag, runNumber: run?.runNumber ?? null, bucket }
  const body = { ...about, key: object?.key ?? null }
  const labels = labelsOf({ ...body, contents })
  return { fingerprint: fingerprintOf(labels), labels, ...body }
}

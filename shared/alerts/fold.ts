/** How requests change episodes: from an open episode and a request to the episode after it. Pure. */
import type { AlertEpisode } from '../database/alert-schema.ts'
import { InvalidInputError } from '../errors.ts'
import { fingerprintOf, labelsOf } from '../messages/alert-labels.ts'
import { ALERT_RULES, SEVERITIES, type Severity } from '../messages/alert-rules.ts'
import { type AlertSignal, alerts } from '../messages/alerts.ts'
import { cutText, isWellFormed, wellFormed } from '../text.ts'

/** A request as it was written to the outbox. */
export interface Entry {
  /** In the outbox: its order. */
  readonly id: number
  readonly createdAt: Date
  readonly runId: number | null
  readonly signal: AlertSignal
}

export type Episode = Omit<AlertEpisode, 'openFingerprint'>
export type EpisodeRow = Omit<Episode, 'id'>

/** `urgent`: people are to see it at once. `often`: it may wait some seconds, so that one edit shows several. */
export type Urgency = 'urgent' | 'often'

export interface Change {
  readonly row: EpisodeRow
  readonly urgency: Urgency
}

/** How episodes of a rule end. A rule of an earlier version is unknown. */
export type Ends = 'condition' | 'acknowledgement' | 'at-once'

interface Rule {
  readonly meaning: string
  readonly ends?: Ends
  /** The section of the runbook. */
  readonly runbook?: string
}

export function ruleOf(name: string): Rule | undefined {
  const rules: Readonly<Record<string, Rule>> = ALERT_RULES
  return Object.hasOwn(rules, name) ? rules[name] : undefined
}

export const endsOf = (rule: string, severity: Severity): Ends =>
  ruleOf(rule)?.ends ?? (severity === 'info' ? 'at-once' : 'acknowledgement')

/** What cannot be read is an alert of its own: nothing that was meant for people is dropped. */
export function signalOf(name: string, body: string): AlertSignal {
  try {
    return alerts.parse(body)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return unreadable(name, body, error.message)
  }
}

export function unreadable(name: string, body: string, reason: string): AlertSignal {
  const rule = 'unreadable-alert'
  const about = { rule, subject: name, tag: null, runNumber: null, bucket: null, key: null } as const
  const labels = labelsOf({ ...about, severity: 'error' })
  const summary = `an alert that cannot be read (${name}): ${cutText(reason, 500)}. It states: ${cutText(body, 500)}`
  return {
    ...about,
    kind: 'raise',
    severity: 'error',
    labels,
    fingerprint: fingerprintOf(labels),
    summary,
    facts: {},
    attachment: null,
  }
}

/** The condition was found. */
export function raised(open: EpisodeRow | null, { signal, createdAt: at, runId }: Entry): Change {
  const { severity } = signal
  const shown = {
    labels: textsOf(signal.labels),
    summary: textOf(signal.summary, LONGEST_SUMMARY),
    facts: textsOf(signal.facts),
    attachment: attachmentOf(signal),
  }
  if (open !== null) {
    const isLatest = at >= open.lastSeen
    const isMoreSevere = SEVERITIES.indexOf(severity) > SEVERITIES.indexOf(open.severity)
    const row = {
      ...open,
      ...(isLatest ? shown : {}),
      severity: isMoreSevere ? severity : open.severity,
      lastSeen: isLatest ? at : open.lastSeen,
      count: open.count + 1,
      revision: open.revision + 1,
    }
    return { row, urgency: isMoreSevere ? 'urgent' : 'often' }
  }
  const isOver = endsOf(signal.rule, severity) === 'at-once'
  const row: EpisodeRow = {
    fingerprint: signal.fingerprint,
    rule: textOf(signal.rule, 64),
    severity,
    ...shown,
    subject: textOf(signal.subject, 500),
    tag: signal.tag === null ? null : textOf(signal.tag, 200),
    runNumber: signal.runNumber === null || signal.runNumber > LARGEST_RUN ? null : signal.runNumber,
    runId,
    bucket: signal.bucket === null ? null : textOf(signal.bucket, 255),
    objectKey: signal.key === null ? null : textOf(signal.key, 1024),
    since: at,
    lastSeen: at,
    count: 1,
    acknowledgedBy: null,
    acknowledgedAt: null,
    comment: null,
    resolvedAt: isOver ? at : null,
    resolvedBy: isOver ? BY_RULE : null,
    held: null,
    revision: 1,
  }
  return { row, urgency: 'urgent' }
}

/** The condition has ended. */
export function ended(open: EpisodeRow, at: Date, by: string): Change {
  const resolvedAt = at > open.lastSeen ? at : open.lastSeen
  return {
    row: { ...open, resolvedAt, resolvedBy: by, held: null, revision: open.revision + 1 },
    urgency: 'urgent',
  }
}

export const BY_RULE = 'rule'

const LONGEST_SUMMARY = 4000
/** Of the column. */
const LARGEST_RUN = 2 ** 32 - 1

/** Text from outside, as the database takes it: one alert that it refuses must not hold up all others. */
const textOf = (text: string, most: number): string => cutText(wellFormed(text), most)

/** One that cannot be named as it is cannot be read either. */
const attachmentOf = ({ attachment }: AlertSignal): AlertSignal['attachment'] =>
  attachment !== null && Object.values(attachment).every(isWellFormed) ? attachment : null

function textsOf<Value extends string | number>(of: Readonly<Record<string, Value>>): Record<string, Value> {
  const entries = Object.entries(of).map(([name, value]) => [
    wellFormed(name),
    typeof value === 'string' ? wellFormed(value) : value,
  ])
  return Object.fromEntries(entries)
}

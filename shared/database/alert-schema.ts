/** Types of the tables of alerts. Times are UTC. */
import type { ColumnType, Generated, Selectable } from 'kysely'
import type { Attachment, Facts, Labels } from '../messages/alert-labels.ts'
import type { Severity } from '../messages/alert-rules.ts'

type Json<T> = ColumnType<T, string, string>
type Defaulted<T> = ColumnType<T, T | undefined, T>
type Optional<T> = ColumnType<T | null, T | null | undefined, T | null>

/** Episodes: one row is one firing of a fingerprint, from its first alert until it is resolved. */
export interface AlertsTable {
  id: Generated<number>
  /** Of the labels without the severity; one episode of it is open at most. */
  fingerprint: string
  rule: string
  severity: Severity
  labels: Json<Labels>
  /** What it is about, for people: the endpoint, bucket, machine, file or run. */
  subject: string
  tag: string | null
  runNumber: number | null
  runId: number | null
  bucket: string | null
  objectKey: string | null
  summary: string
  facts: Json<Facts>
  attachment: ColumnType<Attachment | null, string | null | undefined, string | null>
  since: Date
  lastSeen: Date
  count: Defaulted<number>
  acknowledgedBy: Optional<string>
  acknowledgedAt: Optional<Date>
  comment: Optional<string>
  resolvedAt: Optional<Date>
  /** `rule`, or the person. */
  resolvedBy: Optional<string>
  /** Rises with every change of what messages show. */
  revision: Defaulted<number>
  openFingerprint: ColumnType<string | null, never, never>
}

/** Messages of channels: what should be visible of an episode or a digest, and what is. */
export interface AlertPostsTable {
  id: Generated<number>
  /** Name of the channel in the configuration. */
  channel: string
  kind: 'alert' | 'digest' | 'escalation' | 'report'
  /** What it shows, unique in its channel and kind: id of the episode, group and window, step. */
  subject: string
  alertId: number | null
  /** Rises when the message was deleted by a person and is posted anew. */
  postNumber: Defaulted<number>
  /** Of the channel; null until it is known to be posted. */
  messageId: Optional<string>
  /** The revision that should be visible, and the one that is: equal when nothing is to be done. */
  wanted: Defaulted<number>
  shown: Defaulted<number>
  createdAt: Date
  shownAt: Optional<Date>
}

/** As Alertmanager's. */
export interface Matcher {
  readonly name: string
  readonly value: string
  readonly isRegex: boolean
  readonly isEqual: boolean
}

export interface SilencesTable {
  id: Generated<number>
  /** All must match. */
  matchers: Json<readonly Matcher[]>
  startsAt: Date
  endsAt: Date
  author: string
  comment: string
  createdAt: Date
}

export type AlertEpisode = Selectable<AlertsTable>
export type AlertPost = Selectable<AlertPostsTable>
export type Silence = Selectable<SilencesTable>

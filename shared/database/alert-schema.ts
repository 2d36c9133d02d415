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
  /** Why it is not sent while it fires; null: it is sent. */
  held: Optional<'silenced' | 'inhibited'>
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
  /** The digest that lists the alert: it has no message of its own in this channel. */
  digestId: Optional<number>
  /** Rule and tag: what is counted together, and listed in one digest. */
  groupKey: string
  /** Who is notified when it is posted, by the channel's ids. */
  mentions: ColumnType<readonly Mention[] | null, string | null | undefined, never>
  /** The revision that should be visible, and the one that is: equal when nothing is to be done. */
  wanted: Defaulted<number>
  shown: Defaulted<number>
  /** When the wanted revision is to be shown: what changes often waits. */
  dueAt: Date
  createdAt: Date
  shownAt: Optional<Date>
  isBehind: ColumnType<boolean, never, never>
}

export interface Mention {
  readonly kind: 'user' | 'role'
  readonly id: string
}

/** One row. Its lock is held by whoever changes episodes, so that requests are folded in order. */
export interface AlertFoldingTable {
  id: number
  /** The largest id of the outbox that was folded: a smaller one that comes later was committed late. */
  foldedTo: number
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

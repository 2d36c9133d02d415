/** Labels of alerts, as Prometheus and Alertmanager have them, and the fingerprint that follows. Pure. */
import { createHash } from 'node:crypto'

/** Of Prometheus: names and values that identify what an alert is about. */
export type Labels = Readonly<Record<string, string>>
/** Numbers and texts for people, with units in the names or values. */
export type Facts = Readonly<Record<string, string | number>>

/** A file in the store that belongs to an alert, such as the picture of an event. */
export interface Attachment {
  readonly bucket: string
  readonly key: string
  readonly contentType: string
}

/** What an alert is about, as far as it is about something. */
export interface AlertAbout {
  readonly rule: string
  readonly severity: string
  /** The endpoint, bucket, queue, machine, day … that distinguishes it from others of its rule; '' for none. */
  readonly subject: string
  readonly tag: string | null
  readonly runNumber: number | null
  readonly bucket: string | null
  readonly key: string | null
  /** Of a copy: the SHA-256 of what it is a copy of. A key may have had several contents. */
  readonly contents?: string | undefined
}

/** Digits of a SHA-256 that distinguish the contents of one key. */
const CONTENTS_DIGITS = 12

/** Labels without a value are left out, as in Prometheus, where an empty label is none. */
export function labelsOf(about: AlertAbout): Labels {
  const { rule, severity, subject, tag, runNumber, bucket, key, contents } = about
  const run = runNumber === null ? '' : String(runNumber)
  const all = {
    alertname: rule,
    severity,
    subject,
    tag: tag ?? '',
    run,
    bucket: bucket ?? '',
    key: key ?? '',
    contents: contents?.slice(0, CONTENTS_DIGITS) ?? '',
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''))
}

/**
 * Identifies the condition: 32 hexadecimal digits of the SHA-256 of the sorted labels. The severity is left out: a
 * condition that becomes more severe is the same one.
 */
export function fingerprintOf(labels: Labels): string {
  const identity = Object.entries(labels)
    .filter(([name]) => name !== 'severity')
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 32)
}

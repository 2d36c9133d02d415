/**
 * Alertmanager as a source: its webhook notifications (version 4) become requests for alerts. A notification states all
 * alerts of a group again, whenever one of them changes, every repeat_interval, and after a lost answer; a pair of
 * Alertmanagers may send each twice. So an alert counts at most once an hour for the same begin, and its end once.
 * Counting each notification would count retries and changes of others; counting only the first would let an alert
 * that fires for days look as if it was last seen at its begin.
 *
 * Format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 */
import * as z from 'zod'
import type { Database } from '../database/connect.ts'
import { fingerprintOf, type Labels } from '../messages/alert-labels.ts'
import type { Severity } from '../messages/alert-rules.ts'
import { isTag, LARGEST_RUN_NUMBER, type RunId } from '../run.ts'
import { cutText, shortened, wellFormed } from '../text.ts'
import type { Request } from '../work/outbox.ts'
import { alert } from '../work/raise-alert.ts'

const MOST_LABELS = 100

/**
 * Cut, and made well-formed, rather than refused: Alertmanager does not repeat a refused notification, and all its
 * other alerts would be lost with it.
 */
const text = (most: number) => z.string().transform((given) => cutText(wellFormed(given), most))
const texts = z.record(z.string(), text(2000)).transform((all): Labels => {
  const some = Object.entries(all).slice(0, MOST_LABELS)
  return Object.fromEntries(some.map(([name, value]) => [cutText(wellFormed(name), 200), value]))
})
const status = z.enum(['firing', 'resolved'])
const time = z.iso.datetime({ offset: true, error: 'expected a time like 2026-12-01T12:00:00Z' })

const externalAlert = z.object({
  status,
  labels: texts,
  annotations: texts.default({}),
  startsAt: time,
  endsAt: time,
  generatorURL: text(2000).default(''),
})

/** Unknown fields are ignored: newer versions of Alertmanager may add some. */
export const notification = z.object({
  version: z.literal('4'),
  truncatedAlerts: z.int().nonnegative().default(0),
  receiver: text(1000),
  externalURL: text(2000).default(''),
  alerts: z.array(externalAlert),
})
export type Notification = z.output<typeof notification>
type ExternalAlert = z.output<typeof externalAlert>

/** Other texts, among them none, are warnings. */
const SEVERITIES: ReadonlyMap<string, Severity> = new Map([
  ['critical', 'page'],
  ['page', 'page'],
  ['error', 'error'],
  ['info', 'info'],
])
const HOUR = 'YYYY-MM-DDTHH'.length

/** The requests for a notification that came at a time. */
export async function requestsOf(
  database: Database,
  { alerts, truncatedAlerts, receiver, externalURL }: Notification,
  at: Date,
): Promise<readonly Request[]> {
  const requests: Request[] = []
  for (const each of alerts) requests.push(await requestOf(database, each, at))
  if (truncatedAlerts > 0) requests.push(truncated(truncatedAlerts, receiver, externalURL, at))
  return requests
}

async function requestOf(database: Database, given: ExternalAlert, at: Date): Promise<Request> {
  const { status, annotations, generatorURL, startsAt, endsAt } = given
  // Without it the labels, and so the end, could be those of an alert of ours.
  const labels: Labels = { ...withoutEmpty(given.labels), source: given.labels.source || 'alertmanager' }
  const fingerprint = fingerprintOf(labels)
  const begin = `${fingerprint}:${new Date(startsAt).toISOString()}`
  const cause =
    status === 'firing'
      ? `${begin}:${at.toISOString().slice(0, HOUR)}`
      : `${begin}:${new Date(endsAt).toISOString()}`
  const tag = labels.tag !== undefined && isTag(labels.tag) ? labels.tag : null
  // A number alone names no run.
  const runNumber = tag === null ? null : runNumberOf(labels.run)
  const { summary, ...others } = annotations
  const sentence = summary ?? others.description ?? others.message ?? ''
  return {
    name: `${status === 'firing' ? 'alert' : 'resolved'}:external:${cause}`,
    queue: 'alerts',
    runId: tag === null || runNumber === null ? null : await idOf(database, { tag, runNumber }),
    body: {
      kind: status === 'firing' ? 'raise' : 'resolve',
      fingerprint,
      rule: 'external',
      severity: SEVERITIES.get((labels.severity ?? '').toLowerCase()) ?? 'warning',
      labels,
      subject: cutText(labels.instance ?? labels.job ?? '', 400),
      summary: shortened([labels.alertname ?? 'no name', sentence].filter(Boolean).join(': '), 1000),
      facts: factsOf(labels, others, generatorURL),
      tag,
      runNumber,
      bucket: null,
      key: null,
      attachment: null,
    },
  }
}

/** As in Prometheus, where an empty label is none. */
const withoutEmpty = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))

function runNumberOf(run = ''): number | null {
  const number = /^\d{1,10}$/.test(run) ? Number(run) : Number.POSITIVE_INFINITY
  return number <= LARGEST_RUN_NUMBER ? number : null
}

async function idOf(database: Database, { tag, runNumber }: RunId): Promise<number | null> {
  const run = await database
    .selectFrom('runs')
    .select('id')
    .where('tag', '=', tag)
    .where('runNumber', '=', runNumber)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return run?.id ?? null
}

const SHOWN = new Set(['alertname', 'severity', 'tag', 'run', 'source'])
const MOST_FACTS = 15

/** What is not shown elsewhere: the other labels, the other annotations, and where it was raised. */
function factsOf(
  labels: Labels,
  annotations: Readonly<Record<string, string>>,
  generatorURL: string,
): Readonly<Record<string, string>> {
  const all = [
    ...Object.entries(labels).filter(([name]) => !SHOWN.has(name)),
    ...Object.entries(annotations),
    ['source', generatorURL] as const,
  ]
  const shown = all.filter(([, value]) => value !== '').slice(0, MOST_FACTS)
  return Object.fromEntries(shown.map(([name, value]) => [name, shortened(value, 500)]))
}

/** Counts once an hour. */
function truncated(count: number, receiver: string, externalURL: string, at: Date): Request {
  const where = externalURL === '' ? '' : ` at ${shortened(externalURL, 500)}`
  return alert({
    rule: 'external-truncated',
    severity: 'error',
    subject: cutText(receiver, 200),
    summary: `Alertmanager left ${count} alerts out of a notification of its receiver ${shortened(receiver, 200)}: see its own list${where}, and raise max_alerts of the receiver, or group by more labels`,
    facts: { alertsLeftOut: count },
    cause: `${cutText(receiver, 100)}:${at.toISOString().slice(0, HOUR)}`,
  })
}

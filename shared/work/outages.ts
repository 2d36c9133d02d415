/** The alerts of dependencies that fail, by the name of their circuit breaker. Pure. */
import { cutText } from '../text.ts'
import type { Request } from './outbox.ts'
import { alert, type Condition, type Ended } from './raise-alert.ts'

type OutageRule = 'store-fails' | 'tape-endpoint-fails' | 'channel-fails'

interface Outage {
  readonly rule: OutageRule
  /** Of the alert, which is another one where only reading fails. */
  readonly subject: (name: string) => string
  readonly what: string
  readonly wait: string
}

const STORE: Outage = {
  rule: 'store-fails',
  subject: (bucket) => bucket,
  what: 'the bucket',
  wait: 'arrivals, copies and recalls wait, nothing is lost',
}

/** By the part of the breaker's name before the colon; the rest is the address or the bucket. */
const OUTAGES: Readonly<Record<string, Outage>> = {
  store: STORE,
  tape: {
    rule: 'tape-endpoint-fails',
    subject: (endpoint) => endpoint,
    what: 'the tape endpoint',
    wait: 'copies to it wait, nothing is lost',
  },
  // The copies on tape are not affected.
  'tape-read': {
    rule: 'tape-endpoint-fails',
    subject: (endpoint) => `reading from ${endpoint}`,
    what: 'reading from the tape endpoint',
    wait: 'recalls wait, and the outage does not count in CYGNET_RECALL_HOURS',
  },
  // Named as its breaker: it is shown in the channels that have another one.
  channel: {
    rule: 'channel-fails',
    subject: (name) => `channel:${name}`,
    what: 'the channel of alerts',
    wait: 'its alerts wait, and none is lost',
  },
}

/** Of a subject, characters. */
const LONGEST = 400

function outageOf(dependency: string) {
  const [kind = '', name = ''] = dependency.split(/:(.*)/s)
  const outage = OUTAGES[kind] ?? STORE
  const { rule } = outage
  const bucket = rule === 'store-fails' ? { bucket: name } : {}
  const condition: Condition<OutageRule> = {
    rule,
    subject: cutText(outage.subject(name), LONGEST),
    ...bucket,
  }
  return { condition, about: `${outage.what} ${name}`, wait: outage.wait }
}

/** One count each time that the breaker opens. */
export function outageAlert(dependency: string, since: Date, reason: string): Request {
  const { condition, about, wait } = outageOf(dependency)
  return alert({
    ...condition,
    severity: 'error',
    summary: `${about} fails since ${since.toISOString()}: ${reason}; ${wait}`,
    facts: { failsSince: since.toISOString() },
    cause: `${dependency.slice(0, 200)}:${since.toISOString()}`,
  })
}

export function outageEnd(dependency: string, since: Date): Ended {
  const { condition, about } = outageOf(dependency)
  return { ...condition, summary: `${about} works again; it failed since ${since.toISOString()}` }
}

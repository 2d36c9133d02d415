/**
 * Where an episode is shown: in which channels, and there as a message of its own or in a digest. Pure.
 */
import type { Alerting } from '../config/alerts.ts'
import type { Severity } from '../messages/alert-rules.ts'
import type { AlertChannel } from './channels/channel.ts'

interface Routed {
  readonly rule: string
  readonly severity: Severity
  readonly tag: string | null
  readonly subject: string
}

/**
 * The names of the channels, among those that are open. An episode goes to the channels of every route that matches
 * its severity, tag and rule. Information goes only where a route names the severity info: it is opt-in. That a
 * channel fails is shown in all others, whatever the routes: it must not need the channel itself. A page that no route
 * matches goes to all channels: a gap in the routes must not hide it.
 */
export function channelsFor(
  { rule, severity, tag, subject }: Routed,
  routes: Alerting['routes'],
  open: readonly Pick<AlertChannel, 'name' | 'dependency'>[],
): readonly string[] {
  if (rule === 'channel-fails')
    return open.filter(({ dependency }) => dependency !== subject).map(({ name }) => name)
  const matching = routes.filter(
    ({ severities, tags, rules }) =>
      (severities === undefined ? severity !== 'info' : severities.includes(severity)) &&
      (tags === undefined || (tag !== null && tags.includes(tag))) &&
      (rules === undefined || rules.includes(rule)),
  )
  const named = new Set(matching.flatMap(({ channels }) => channels))
  const names = open.map(({ name }) => name)
  return matching.length === 0 && severity === 'page' ? names : names.filter((name) => named.has(name))
}

/** Alerts of the same rule and tag are counted together, and listed in one digest. */
export const groupOf = ({ rule, tag }: Pick<Routed, 'rule' | 'tag'>): string => `${rule}|${tag ?? ''}`

/** A longer list does not fit into a message. */
const MOST_LISTED = 30

/** Whether an alert gets a message of its own, a line in the present digest of its group, or begins a digest. */
export function placeOf(
  {
    messages,
    listed,
  }: {
    /** Of the group in the channel, within CYGNET_ALERT_DIGEST_MINUTES. */
    readonly messages: number
    /** Alerts in the digest that was begun within that time; null: there is none. */
    readonly listed: number | null
  },
  digestOver: number,
): 'message' | 'digest' | 'new digest' {
  if (messages < digestOver) return 'message'
  return listed !== null && listed < MOST_LISTED ? 'digest' : 'new digest'
}

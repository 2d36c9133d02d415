/** What messages show of alerts: what a shifter understands on a phone. Pure. */
import type { AlertPost } from '../database/alert-schema.ts'
import { shortened } from '../text.ts'
import type { ChannelMessage, MessageState } from './channels/channel.ts'
import { BY_RULE, type Episode, endsOf, ruleOf } from './fold.ts'

/** Addresses that messages link to; undefined where they are not configured. */
export interface Addresses {
  readonly catalogue: string | undefined
  readonly runbook: string | undefined
}

type Shown = Omit<ChannelMessage, 'deliveryId' | 'mentions' | 'attachment'>

/** One alert: what, since when, how often, what it is about, and who takes care of it. */
function alertMessage(episode: Episode, addresses: Addresses): Shown {
  const { rule, severity, summary, since, lastSeen, count, facts, comment } = episode
  const { acknowledgedBy, acknowledgedAt, resolvedAt, resolvedBy } = episode
  const state = stateOf(episode)
  const fields: (ChannelMessage['fields'][number] | null)[] = [
    { name: state === 'information' ? 'At' : 'Since', value: since },
    count === 1 ? null : { name: 'Last seen', value: lastSeen },
    count === 1 ? null : { name: 'Count', value: String(count) },
    ...aboutOf(episode),
    ...Object.entries(facts).map(([name, value]) => ({ name, value: String(value) })),
    acknowledgedBy === null ? null : { name: 'Acknowledged by', value: acknowledgedBy },
    acknowledgedAt === null || resolvedAt !== null ? null : { name: 'Acknowledged', value: acknowledgedAt },
    comment === null || comment === '' ? null : { name: 'Comment', value: comment },
    ...(state === 'resolved' && resolvedAt !== null
      ? [
          { name: 'Resolved', value: resolvedAt },
          { name: 'Lasted', value: durationText(resolvedAt.getTime() - since.getTime()) },
          resolvedBy === null || resolvedBy === BY_RULE ? null : { name: 'Resolved by', value: resolvedBy },
        ]
      : []),
  ]
  return {
    state,
    severity,
    title: titleOf(episode),
    text: withMeaning(rule, summary),
    fields: fields.filter((field) => field !== null),
    links: linksOf(episode, addresses),
  }
}

/** Alerts of one rule and tag that came in numbers: a line each, with what distinguishes it. */
function digestMessage(listed: readonly Episode[], addresses: Addresses): Shown | null {
  const [first] = listed
  if (first === undefined) return null
  const open = listed.filter(({ resolvedAt }) => resolvedAt === null)
  const severity = listed.some((one) => one.severity === 'page') ? 'page' : first.severity
  const where = first.tag === null ? '' : ` of ${first.tag}`
  const lines = listed.map(lineOf)
  const latest = listed.reduce((a, b) => (a.lastSeen > b.lastSeen ? a : b))
  return {
    state: open.length === 0 ? 'resolved' : open.every(isTaken) ? 'acknowledged' : 'firing',
    severity,
    title: `${first.rule}: ${listed.length} more alerts${where}`,
    text: lines.join('\n'),
    fields: [
      { name: 'Since', value: listed.reduce((a, b) => (a.since < b.since ? a : b)).since },
      { name: 'Last seen', value: latest.lastSeen },
      { name: 'Open', value: `${open.length} of ${listed.length}` },
      { name: 'The latest', value: latest.summary },
    ],
    links: linksOf({ ...first, tag: null, runNumber: null }, addresses),
  }
}

/** A page that nobody has acknowledged: who is asked now. */
function escalationMessage(episode: Episode, at: Date, addresses: Addresses): Shown {
  const shown = alertMessage(episode, addresses)
  if (shown.state !== 'firing') return shown
  const minutes = Math.round((at.getTime() - episode.since.getTime()) / 60_000)
  return {
    ...shown,
    text: `Nobody has acknowledged this for ${minutes} minutes. ${shown.text}`,
  }
}

const isTaken = ({ acknowledgedAt }: Episode) => acknowledgedAt !== null

function stateOf(episode: Episode): MessageState {
  const { rule, severity, resolvedAt, acknowledgedAt, held } = episode
  if (resolvedAt !== null) return endsOf(rule, severity) === 'at-once' ? 'information' : 'resolved'
  if (held === 'silenced') return 'silenced'
  return acknowledgedAt === null ? 'firing' : 'acknowledged'
}

/** `checksum-mismatch, run 12345 of LNGS`. Alerts of other systems are named by their label. */
function titleOf({ rule, labels, tag, runNumber, subject }: Episode): string {
  const name = labels.alertname ?? rule
  const of = tag === null ? '' : ` of ${tag}`
  if (runNumber !== null) return `${name}, run ${runNumber}${of}`
  if (subject !== '') return `${name}, ${shortened(subject, 100)}`
  return tag === null ? name : `${name}, ${tag}`
}

function aboutOf({ tag, runNumber, objectKey, subject }: Episode): ChannelMessage['fields'] {
  return [
    ...(runNumber === null ? [] : [{ name: 'Run', value: String(runNumber) }]),
    ...(tag === null ? [] : [{ name: 'Tag', value: tag }]),
    ...(objectKey === null ? [] : [{ name: 'File', value: objectKey }]),
    ...(subject === '' ? [] : [{ name: 'Subject', value: subject }]),
  ]
}

const LONGEST_NAME = 32

/** Short: all that a digest lists (`MOST_LISTED`) fit into the text of a message. */
function lineOf(episode: Episode): string {
  const { runNumber, objectKey, subject, summary, count } = episode
  const file = objectKey === null ? '' : objectKey.slice(objectKey.lastIndexOf('/') + 1)
  const run = runNumber === null ? '' : `run ${runNumber}`
  const name = [file || run, subject].filter(Boolean).join(' ') || summary
  const state = stateOf(episode)
  const marks = [
    ...(count === 1 ? [] : [`×${count}`]),
    ...(state === 'firing' || state === 'information' ? [] : [state]),
  ]
  return [shortened(name, LONGEST_NAME), ...marks].join(' ')
}

const withMeaning = (rule: string, summary: string): string => {
  const meaning = ruleOf(rule)?.meaning
  return meaning === undefined ? summary : `${summary}\n${rule}: ${meaning}`
}

/** The path of a run's page. */
const runPath = (tag: string, runNumber: number): string => `/runs/${encodeURIComponent(tag)}/${runNumber}`

function linksOf(
  { rule, tag, runNumber }: Pick<Episode, 'rule' | 'tag' | 'runNumber'>,
  { catalogue, runbook }: Addresses,
): ChannelMessage['links'] {
  const section = ruleOf(rule)?.runbook
  return [
    ...(catalogue === undefined || tag === null || runNumber === null
      ? []
      : [{ label: `Run ${runNumber}`, url: catalogue.replace(/\/+$/, '') + runPath(tag, runNumber) }]),
    ...(runbook === undefined || section === undefined
      ? []
      : [{ label: 'What to do', url: `${runbook}#${section}` }]),
  ]
}

/** `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h` */
function durationText(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes === 0) return `${Math.max(0, Math.round(ms / 1000))} s`
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** What a post shows; null: nothing, since it lists no alert. */
export function messageOf(
  post: Pick<AlertPost, 'kind' | 'createdAt'>,
  episodes: readonly Episode[],
  addresses: Addresses,
): Shown | null {
  const [episode] = episodes
  if (post.kind === 'digest') return digestMessage(episodes, addresses)
  if (episode === undefined) return null
  return post.kind === 'escalation'
    ? escalationMessage(episode, post.createdAt, addresses)
    : alertMessage(episode, addresses)
}

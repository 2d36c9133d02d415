/**
 * What the channels should show of episodes, as rows of `alert_posts`, in the transaction that changed the episodes.
 * Every open episode that is not held has, in each of its channels, a message of its own or a line in a digest.
 */
import { type Insertable, sql, type Transaction } from 'kysely'
import type { Context } from '../context.ts'
import type { AlertPostsTable } from '../database/alert-schema.ts'
import type { Schema } from '../database/schema.ts'
import type { Labels } from '../messages/alert-labels.ts'
import type { AlertChannel } from './channels/channel.ts'
import type { Episode, Urgency } from './fold.ts'
import { inhibitedBy } from './inhibition.ts'
import { INHIBITIONS } from './inhibitions.ts'
import { matchesAll } from './matchers.ts'
import { channelsFor, groupOf, placeOf } from './routing.ts'
import { matchingSilences } from './silences.ts'

type Trx = Transaction<Schema>
type NewPost = Insertable<AlertPostsTable>

export interface Changed {
  readonly episode: Episode
  /** Null: nothing that messages show. */
  readonly urgency: Urgency | null
  /** It begins: it is shown also if it has ended already. */
  readonly isNew: boolean
}

/** Without channels nothing is posted yet: the next function that has them does it. */
export type Shower = Pick<Context, 'config'> & {
  readonly channels: readonly Pick<AlertChannel, 'name' | 'dependency'>[]
}

/** A message is edited at most this often for what changes all the time, such as a count. */
export const EDITED_EVERY_SECONDS = 15

/** Decides which of the episodes are held, and which messages are to be posted and edited. */
export async function wantPosts(
  trx: Trx,
  context: Shower,
  changed: readonly Changed[],
  at: Date,
): Promise<void> {
  if (changed.length === 0) return
  const held = await hold(trx, changed, at)
  const ids = { urgent: [] as number[], often: [] as number[] }
  for (const { episode, urgency } of changed) {
    const is = held.changed.has(episode.id) ? 'urgent' : urgency
    if (is !== null) ids[is].push(episode.id)
  }
  await editPosts(trx, ids.urgent, 'urgent', at)
  await editPosts(trx, ids.often, 'often', at)
  const { channels, config } = context
  const routes = config.alerts.channels?.routes ?? []
  const posts = await trx
    .selectFrom('alertPosts')
    .select(['alertId', 'channel'])
    .where('kind', '=', 'alert')
    .where(
      'alertId',
      'in',
      changed.map(({ episode }) => episode.id),
    )
    .execute()
  const placed = new Set(posts.map(({ alertId, channel }) => `${alertId} ${channel}`))
  const places = placesOf(trx, context, at)
  for (const { episode, isNew } of changed) {
    if (held.now.has(episode.id) || (episode.resolvedAt !== null && !isNew)) continue
    for (const channel of channelsFor(episode, routes, channels))
      if (!placed.has(`${episode.id} ${channel}`)) await places.add(channel, episode)
  }
  await places.write()
}

/**
 * Looks again at every open episode: silences and inhibitions begin and end with time, and routes change with the
 * configuration.
 */
export async function reviewPosts(trx: Trx, context: Shower, at: Date): Promise<void> {
  const open = await trx.selectFrom('alerts').selectAll().where('resolvedAt', 'is', null).execute()
  const changed = open.map((episode) => ({ episode, urgency: null, isNew: false }))
  for (let start = 0; start < changed.length; start += REVIEWED_AT_ONCE)
    await wantPosts(trx, context, changed.slice(start, start + REVIEWED_AT_ONCE), at)
}

const REVIEWED_AT_ONCE = 1000

/**
 * Writes which episodes are silenced or inhibited.
 * @returns those that are, and those whose state differs from before.
 */
async function hold(trx: Trx, changed: readonly Changed[], at: Date) {
  const silences = await trx.selectFrom('silences').selectAll().where('endsAt', '>=', at).execute()
  const firing = await firingSources(trx)
  const heldBy = (labels: Labels) => {
    if (matchingSilences(labels, silences, at).length > 0) return 'silenced'
    return inhibitedBy(labels, firing, INHIBITIONS) === null ? null : 'inhibited'
  }
  const now = new Set<number>()
  const differing = new Set<number>()
  for (const { episode, isNew } of changed) {
    const { id, labels, resolvedAt } = episode
    if (resolvedAt !== null && !isNew) continue
    const held = heldBy(labels)
    if (held !== null) now.add(id)
    if (resolvedAt !== null || held === episode.held) continue
    differing.add(id)
    await trx
      .updateTable('alerts')
      .set((of) => ({ held, revision: of('revision', '+', 1) }))
      .where('id', '=', id)
      .execute()
  }
  return { now, changed: differing }
}

/** The open episodes that may inhibit others. */
async function firingSources(trx: Trx): Promise<readonly { readonly labels: Labels }[]> {
  const open = await trx.selectFrom('alerts').select('labels').where('resolvedAt', 'is', null).execute()
  return open.filter(({ labels }) => INHIBITIONS.some(({ source }) => matchesAll(source, labels)))
}

/** The messages that show these episodes are edited. */
export async function editPosts(trx: Trx, alertIds: readonly number[], urgency: Urgency, at: Date) {
  if (alertIds.length === 0) return
  const kinds = urgency === 'urgent' ? (['alert', 'escalation'] as const) : (['alert'] as const)
  await trx
    .updateTable('alertPosts')
    .set(nextRevision(urgency, at))
    .where('alertId', 'in', alertIds)
    .where('kind', 'in', kinds)
    .where('digestId', 'is', null)
    .execute()
  const listing = await trx
    .selectFrom('alertPosts')
    .select('digestId')
    .distinct()
    .where('alertId', 'in', alertIds)
    .where('digestId', 'is not', null)
    .execute()
  await editDigests(
    trx,
    listing.flatMap(({ digestId }) => digestId ?? []),
    at,
  )
}

/** A digest changes with each of its alerts: always as what changes often. */
async function editDigests(trx: Trx, ids: readonly number[], at: Date): Promise<void> {
  if (ids.length === 0) return
  await trx.updateTable('alertPosts').set(nextRevision('often', at)).where('id', 'in', ids).execute()
}

/** Assigned in this order: MariaDB uses the new value of a column from then on. */
function nextRevision(urgency: Urgency, at: Date) {
  const now = sql<Date>`CAST(${at} AS DATETIME(3))`
  const dueAt =
    urgency === 'urgent'
      ? now
      : sql<Date>`GREATEST(${now}, COALESCE(shown_at + INTERVAL ${EDITED_EVERY_SECONDS} SECOND, ${now}))`
  return {
    dueAt: sql<Date>`IF(wanted > shown, LEAST(due_at, ${dueAt}), ${dueAt})`,
    wanted: sql<number>`wanted + 1`,
  }
}

/** Finds a place for each alert in a channel, counting those of its group; `write` ends it. */
function placesOf(trx: Trx, { config }: Shower, at: Date) {
  const { digestOver, digestMinutes } = config.alerts
  const since = new Date(at.getTime() - digestMinutes * 60_000)
  const groups = new Map<string, { messages: number; digest: number | null; listed: number }>()
  const grown = new Set<number>()
  let alerts: NewPost[] = []
  const flush = async () => {
    const rows = alerts.map((row) => ({ digestId: null, wanted: 1, ...row }))
    alerts = []
    if (rows.length > 0) await trx.insertInto('alertPosts').values(rows).execute()
  }

  const groupIn = async (channel: string, groupKey: string) => {
    const known = groups.get(`${channel} ${groupKey}`)
    if (known !== undefined) return known
    const ofGroup = trx
      .selectFrom('alertPosts')
      .where('channel', '=', channel)
      .where('groupKey', '=', groupKey)
      .where('createdAt', '>', since)
    const { messages } = await ofGroup
      .select((of) => of.fn.countAll<number>().as('messages'))
      .where('kind', '=', 'alert')
      .where('digestId', 'is', null)
      .executeTakeFirstOrThrow()
    const digest = await ofGroup
      .select('id')
      .where('kind', '=', 'digest')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst()
    const { listed } = await trx
      .selectFrom('alertPosts')
      .select((of) => of.fn.countAll<number>().as('listed'))
      .where('digestId', '=', digest?.id ?? 0)
      .executeTakeFirstOrThrow()
    const group = { messages: Number(messages), digest: digest?.id ?? null, listed: Number(listed) }
    groups.set(`${channel} ${groupKey}`, group)
    return group
  }

  const add = async (channel: string, episode: Changed['episode']) => {
    const groupKey = groupOf(episode)
    const group = await groupIn(channel, groupKey)
    const post = { channel, groupKey, dueAt: at, createdAt: at }
    const alert = { ...post, kind: 'alert', subject: String(episode.id), alertId: episode.id } as const
    const place = placeOf(
      { messages: group.messages, listed: group.digest === null ? null : group.listed },
      digestOver,
    )
    if (place === 'message') {
      alerts.push(alert)
      group.messages += 1
      return
    }
    if (place === 'digest' && group.digest !== null) grown.add(group.digest)
    else {
      // Messages are posted in the order of the rows.
      await flush()
      // Named by its first alert: unique, and the same again if this transaction is repeated.
      const digest = { ...post, kind: 'digest', subject: String(episode.id), alertId: null } as const
      const { insertId } = await trx.insertInto('alertPosts').values(digest).executeTakeFirstOrThrow()
      group.digest = Number(insertId)
      group.listed = 0
    }
    alerts.push({ ...alert, digestId: group.digest, wanted: 0 })
    group.listed += 1
  }

  const write = async () => {
    await flush()
    await editDigests(trx, [...grown], at)
  }
  return { add, write }
}

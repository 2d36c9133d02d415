/**
 * Messages in channels, as a kind of task: from what a row of `alert_posts` wants to be visible to what is. A message
 * is posted once and edited in place. After a crash between the post and its record it is found by its delivery id.
 */
import { createHash } from 'node:crypto'
import { type SqlBool, sql } from 'kysely'
import type { Context } from '../context.ts'
import type { AlertPost } from '../database/alert-schema.ts'
import { inTransaction } from '../database/connect.ts'
import { classify } from '../errors.ts'
import type { Logger } from '../log.ts'
import { describeObject, readObject } from '../storage/objects.ts'
import { pause } from '../time/pause.ts'
import { advanceNext } from '../work/advance.ts'
import { LONGEST_WAIT_MS } from '../work/back-off.ts'
import { isDue, latestTime } from '../work/due.ts'
import type { Request } from '../work/outbox.ts'
import { alert } from '../work/raise-alert.ts'
import type { Ending, TaskKind, Work } from '../work/task-kind.ts'
import { restartTask } from '../work/tasks.ts'
import type { AlertChannel, ChannelMessage } from './channels/channel.ts'
import type { Episode } from './fold.ts'
import { messageOf } from './message.ts'
import { EDITED_EVERY_SECONDS } from './want-posts.ts'

/** A post with what it shows, as read when its task was claimed. */
export interface PostSubject {
  readonly post: AlertPost
  /** One; of a digest those that it lists. */
  readonly episodes: readonly Episode[]
  readonly channel: AlertChannel
}

export type PostContext = Context<'database' | 'queues' | 's3' | 'channels'>

type Result =
  | { readonly kind: 'shown'; readonly messageId: string; readonly revision: number }
  /** A person has deleted the message. */
  | { readonly kind: 'gone' }
  /** There is no alert to be shown. */
  | { readonly kind: 'nothing' }

export const ALERT_POST = 'alert-post'

export const alertPost: TaskKind<PostContext, PostSubject, Result, null> = {
  kind: ALERT_POST,

  async load({ database, channels }, { subjectId }) {
    const post = await database
      .selectFrom('alertPosts')
      .selectAll()
      .where('id', '=', subjectId)
      .executeTakeFirst()
    const channel = channels.find(({ name }) => name === post?.channel)
    if (post === undefined || channel === undefined) return null
    const query = database.selectFrom('alerts').selectAll('alerts')
    const episodes =
      post.kind === 'digest'
        ? await query
            .innerJoin('alertPosts', 'alertPosts.alertId', 'alerts.id')
            .where('alertPosts.digestId', '=', post.id)
            .orderBy('alerts.id')
            .execute()
        : await query.where('id', '=', post.alertId).execute()
    return { post, episodes, channel }
  },

  fields: ({ post: { channel, alertId, kind }, episodes: [episode] }) => ({
    channel,
    alert: alertId,
    post: kind,
    rule: episode?.rule,
    tag: episode?.tag,
    run: episode?.runNumber,
  }),

  lock: async () => null,

  settled: ({ post: { wanted, shown } }) => (shown >= wanted ? { kind: 'done', result: null } : null),

  /** An earlier attempt may have posted the message without recording it. */
  async check(context, { subject, trail }, signal) {
    const { post, channel } = subject
    const deliveryId = deliveryIdOf(post)
    const attempt = trail.reference
    if (post.messageId === null && attempt?.delivery === deliveryId && attempt.message === undefined) {
      const since = new Date(attempt.since ?? post.createdAt)
      const found = await unlessLimited(context, () => channel.find(deliveryId, since, signal))
      if (found !== null && typeof found !== 'string') return found
      if (found !== null) await trail.note({ message: found })
    }
    return { kind: 'to-do', jobEnded: null }
  },

  async act(context, { subject, trail }, _generation, signal) {
    const { post, channel } = subject
    const message = await contentOf(context, subject, signal)
    if (message === null)
      return { kind: 'given-up', reason: 'it shows no alert', result: { kind: 'nothing' } }
    const { deliveryId } = message
    const known = trail.reference?.delivery === deliveryId ? (trail.reference.message ?? null) : null
    const messageId = post.messageId ?? known
    return await unlessLimited(context, async () => {
      if (messageId === null) {
        const first = trail.reference?.delivery === deliveryId ? trail.reference.since : undefined
        const since = first ?? context.now().toISOString()
        await trail.note({ delivery: deliveryId, since, message: null })
        return shown(await channel.post(message, signal), post)
      }
      if ((await channel.edit(messageId, message, signal)) === 'edited') return shown(messageId, post)
      return { kind: 'restarted', reason: 'a person deleted the message', result: { kind: 'gone' } } as const
    })
  },

  async outcome(trx, _context, work, { ending, change, at }) {
    const { post } = work.subject
    if (ending.kind === 'busy' && ending.until !== undefined) {
      const limit = { limitedUntil: ending.until }
      await trx
        .insertInto('alertChannels')
        .values({ channel: post.channel, ...limit })
        .onDuplicateKeyUpdate(limit)
        .execute()
    }
    const result = 'result' in ending ? ending.result : null
    const row = trx.updateTable('alertPosts').where('id', '=', post.id)
    if (result?.kind === 'gone')
      await row
        .set({ postNumber: post.postNumber + 1, messageId: null })
        .where('postNumber', '=', post.postNumber)
        .execute()
    if (result?.kind === 'nothing') await row.set({ shown: post.wanted }).execute()
    if (result?.kind === 'shown')
      await row.set({ messageId: result.messageId, shown: result.revision, shownAt: at }).execute()
    return ending.kind === 'failed' && change.state === 'failing' ? [notShownAlert(work, ending.reason)] : []
  },
}

const shown = (messageId: string, { wanted }: AlertPost): Ending<Result> => ({
  kind: 'done',
  result: { kind: 'shown', messageId, revision: wanted },
})

const notShownAlert = ({ task, subject: { channel } }: Work<PostSubject>, reason: string): Request =>
  alert({
    rule: 'channel-fails',
    severity: 'error',
    subject: channel.dependency,
    summary: `an alert could not be shown in ${channel.name} in ${task.attempts} attempts: ${reason}. It is tried again, and shown on the page`,
    cause: `${task.name}:${task.requestedAt.toISOString()}`,
  })

/**
 * Of a post and its number: the same again after a crash, and another one after the message was deleted. It has the
 * time of the row, since two installations may use the same channel.
 */
function deliveryIdOf({ id, channel, createdAt, postNumber }: AlertPost): string {
  const identity = JSON.stringify([channel, id, createdAt.toISOString(), postNumber])
  return createHash('sha256').update(identity).digest('hex').slice(0, 24)
}

/** A service that asks to wait has not failed: the task waits for as long as it states. */
async function unlessLimited<T>(
  { now }: PostContext,
  work: () => Promise<T>,
): Promise<T | { readonly kind: 'busy'; readonly reason: string; readonly until: Date }> {
  try {
    return await work()
  } catch (thrown) {
    const error = classify(thrown)
    const { retryAfterMs } = error.details
    if (typeof retryAfterMs !== 'number') throw thrown
    const waitMs = Math.min(Math.max(0, retryAfterMs), LONGEST_WAIT_MS.retry)
    return { kind: 'busy', reason: error.message, until: new Date(now().getTime() + waitMs) }
  }
}

async function contentOf(
  context: PostContext,
  { post, episodes }: PostSubject,
  signal: AbortSignal,
): Promise<ChannelMessage | null> {
  const { access, alerts } = context.config
  const message = messageOf(post, episodes, { catalogue: access.publicUrl, runbook: alerts.runbook })
  if (message === null) return null
  const attachment = post.kind === 'alert' ? await attachmentOf(context, episodes, signal) : null
  return { ...message, deliveryId: deliveryIdOf(post), mentions: post.mentions ?? [], attachment }
}

/** Larger files are left out: channels accept about as much. */
const LARGEST_ATTACHMENT_BYTES = 8 * 1024 * 1024

/** Null where there is none, or it cannot be read: the alert is more important than its picture. */
async function attachmentOf(
  { s3, log }: PostContext,
  [episode]: readonly Episode[],
  signal: AbortSignal,
): Promise<ChannelMessage['attachment']> {
  const stated = episode?.attachment ?? null
  if (stated === null) return null
  try {
    const object = await describeObject(s3, stated, signal)
    if (object === null || object.sizeBytes > LARGEST_ATTACHMENT_BYTES) return null
    const bytes = await Array.fromAsync(readObject(s3, object, signal))
    const name = stated.key.slice(stated.key.lastIndexOf('/') + 1)
    return { name, contentType: stated.contentType, bytes: Buffer.concat(bytes) }
  } catch (error) {
    signal.throwIfAborted()
    log.warn({ error, bucket: stated.bucket, key: stated.key }, 'attachment-not-read')
    return null
  }
}

/** In a transaction; the others follow in the next. */
const REQUESTED_AT_ONCE = 200

/** Starts a task for every message of the channel that is behind and due, and has none in progress. */
export async function requestPosts(context: PostContext, channel: AlertChannel): Promise<number> {
  const { database } = context
  const at = context.now()
  const tooFar = latestTime(at, EDITED_EVERY_SECONDS * 1000)
  const posts = await database
    .selectFrom('alertPosts as post')
    .leftJoin('tasks as task', (join) =>
      join.onRef('task.subjectId', '=', 'post.id').on('task.kind', '=', ALERT_POST),
    )
    .leftJoin('alerts as alert', 'alert.id', 'post.alertId')
    .select(['post.id', 'post.kind', 'alert.severity'])
    .where('post.isBehind', '=', true)
    .where('post.channel', '=', channel.name)
    .where(sql<SqlBool>`(post.due_at <= ${at} OR post.due_at > ${tooFar})`)
    .where((where) =>
      where.or([where('task.id', 'is', null), where('task.state', 'in', ['done', 'given-up'])]),
    )
    .orderBy('post.id')
    .limit(REQUESTED_AT_ONCE)
    .execute()
  if (posts.length === 0) return 0
  await inTransaction(database, async (trx) => {
    for (const { id, kind, severity } of posts) {
      const isUrgent = kind === 'escalation' || severity === 'page'
      const task = {
        kind: ALERT_POST,
        subjectId: id,
        runId: null,
        dependency: channel.dependency,
        needs: null,
        priority: isUrgent ? 'live' : 'backlog',
        requestedBy: 'alerts',
      } as const
      // What an earlier attempt noted tells whether the message may exist.
      await restartTask(trx, task, at, { keepsReference: true })
    }
  })
  return posts.length
}

/** A function that died holds its turn until its lease ends: the others go on. */
const MOST_AT_ONCE = 4
const LIMIT_SECONDS = 30

export interface Pace {
  /** No message is begun, and none waited for, after this time. A later call goes on. */
  readonly withinMs: number
  /** Waits as long as a service asks. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** Posts and edits, one message at a time in each channel, until all show what is wanted. */
export async function advancePosts(
  context: PostContext,
  pace: Pace,
  signal: AbortSignal,
  log: Logger,
): Promise<{ readonly shown: number }> {
  const ends = await Promise.all(
    context.channels.map((channel) => advanceChannel(context, channel, pace, signal, log)),
  )
  return { shown: ends.reduce((sum, one) => sum + one, 0) }
}

async function advanceChannel(
  context: PostContext,
  channel: AlertChannel,
  { withinMs, wait = pause }: Pace,
  signal: AbortSignal,
  log: Logger,
): Promise<number> {
  const { dependency } = channel
  const turn = { of: 'due', mostAtOnce: MOST_AT_ONCE } as const
  const options = { dependency, turn, limitSeconds: LIMIT_SECONDS }
  const end = context.now().getTime() + withinMs
  let shownCount = 0
  await requestPosts(context, channel)
  while (!signal.aborted && context.now().getTime() <= end) {
    // Whichever function was asked to wait: the next message would be refused as well.
    const until = await limitedUntil(context, channel)
    if (until > end) break
    if (until > context.now().getTime()) await wait(until - context.now().getTime(), signal)
    const advanced = await advanceNext(context, alertPost, options, signal, log)
    if (advanced === null) {
      if ((await requestPosts(context, channel)) === 0) break
      continue
    }
    if (advanced.ending.kind === 'done') shownCount += 1
  }
  return shownCount
}

/** Milliseconds since the epoch; 0: the channel has not asked to wait. */
async function limitedUntil({ database, now }: PostContext, { name }: AlertChannel): Promise<number> {
  const row = await database
    .selectFrom('alertChannels')
    .select('limitedUntil')
    .where('channel', '=', name)
    .executeTakeFirst()
  const isOver = row === undefined || isDue(row.limitedUntil, now(), LONGEST_WAIT_MS.retry)
  return isOver ? 0 : row.limitedUntil.getTime()
}

/**
 * From requests to visible messages. A message of the queue `alerts` is only a wake-up: `showAlerts` does whatever is
 * due. `reviewAlerts` finds what becomes due with time.
 */
import { sql, type Transaction } from 'kysely'
import type { Context } from '../context.ts'
import type { Schema } from '../database/schema.ts'
import type { Logger } from '../log.ts'
import { changeEpisodes, endEpisodes, foldAlerts } from './episodes.ts'
import { dueSteps } from './escalation.ts'
import { BY_RULE } from './fold.ts'
import { ALERT_POST, advancePosts, type Pace, type PostContext } from './post.ts'
import type { OnShift } from './rota.ts'
import { groupOf } from './routing.ts'
import { reviewPosts } from './want-posts.ts'

/**
 * Folds the requests that wait, and shows in the channels what should be visible.
 * @throws what kept the requests from being folded, after what is known was shown.
 */
export async function showAlerts(
  context: PostContext,
  pace: Pace,
  signal: AbortSignal,
  log: Logger,
): Promise<{ readonly folded: number; readonly shown: number }> {
  const [folding] = await Promise.allSettled([foldAlerts(context)])
  const shown = await advancePosts(context, pace, signal, log)
  if (folding.status === 'rejected') throw folding.reason
  return { ...folding.value, ...shown }
}

/** Silences begin and end, pages escalate to who is on shift, channels work again. Once a minute. */
export async function reviewAlerts(
  context: Context<'database' | 'channels'>,
  onShift: OnShift,
): Promise<{ readonly escalated: number }> {
  // What has ended by now must be neither sent nor escalated.
  await foldAlerts(context)
  return await changeEpisodes(context.database, async (trx) => {
    const at = context.now()
    await endChannelFailures(trx, context, at)
    await reviewPosts(trx, context, at)
    return { escalated: await escalate(trx, context, onShift, at) }
  })
}

/** A channel fails while its breaker is open, or a message of it has failed again and again. */
async function endChannelFailures(
  trx: Transaction<Schema>,
  context: Context<'database' | 'channels'>,
  at: Date,
): Promise<void> {
  const rows = await trx
    .selectFrom('alerts')
    .selectAll()
    .where('rule', '=', 'channel-fails')
    .where('resolvedAt', 'is', null)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('breakers')
            .select('dependency')
            .whereRef('dependency', '=', 'alerts.subject')
            .where('openSince', 'is not', null),
        ),
      ),
    )
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('tasks')
            .select('id')
            .where('kind', '=', ALERT_POST)
            .whereRef('dependency', '=', 'alerts.subject')
            .where('state', '=', 'failing'),
        ),
      ),
    )
    .execute()
  const open = rows.map(({ openFingerprint: _, ...episode }) => episode)
  await endEpisodes(trx, context, open, BY_RULE, at)
}

/**
 * Wants the messages of the steps that are due. Pages that only a digest lists call nobody while others of their group
 * do, which call the same people; else one of them calls for all.
 */
async function escalate(
  trx: Transaction<Schema>,
  { config }: Context<'database'>,
  onShift: OnShift,
  at: Date,
): Promise<number> {
  const settings = config.alerts.channels?.escalation
  if (settings === undefined) return 0
  const { channel } = settings
  const pages = await trx
    .selectFrom('alerts')
    .innerJoin('alertPosts', 'alertPosts.alertId', 'alerts.id')
    .selectAll('alerts')
    .select((of) => [
      of.fn.min('alertPosts.createdAt').as('sentAt'),
      sql<number>`MAX(alert_posts.digest_id IS NULL)`.as('hasMessage'),
    ])
    .where('resolvedAt', 'is', null)
    .where('severity', '=', 'page')
    .where('acknowledgedAt', 'is', null)
    .where('alertPosts.kind', '=', 'alert')
    .groupBy('alerts.id')
    .orderBy('alerts.id')
    .execute()
  const calling = [...Map.groupBy(pages, groupOf).values()].flatMap((group) => {
    const withMessage = group.filter(({ hasMessage }) => Number(hasMessage) === 1)
    return withMessage.length > 0 ? withMessage : group.slice(0, 1)
  })
  // One that was silenced at first could not be seen before.
  const posts = calling.flatMap(({ sentAt, hasMessage: _, ...episode }) =>
    dueSteps({ ...episode, since: sentAt }, onShift, settings, at).map(({ step, mentions }) => ({
      channel,
      kind: 'escalation' as const,
      subject: `${episode.id}:${step}`,
      alertId: episode.id,
      groupKey: groupOf(episode),
      mentions: JSON.stringify(mentions),
      dueAt: at,
      createdAt: at,
    })),
  )
  if (posts.length === 0) return 0
  const { numInsertedOrUpdatedRows = 0n } = await trx
    .insertInto('alertPosts')
    .ignore()
    .values(posts)
    .executeTakeFirstOrThrow()
  return Number(numInsertedOrUpdatedRows)
}

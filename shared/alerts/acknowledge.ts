/** What people do about alerts: acknowledge, silence, end a silence. Messages show it within a minute. */
import type { Context } from '../context.ts'
import type { AlertEpisode } from '../database/alert-schema.ts'
import { changeEpisodes, endEpisodes } from './episodes.ts'
import { endsOf } from './fold.ts'
import { checkSilence, type SilenceDraft } from './silences.ts'
import { editPosts, reviewPosts } from './want-posts.ts'

/**
 * A person takes care of an alert. Its condition may last; an alert whose rule cannot see an end ends with this.
 * @returns the episode as it is then; null where there is none, or it has ended.
 */
export async function acknowledge(
  { database, config, now }: Context<'database'>,
  id: number,
  by: string,
  comment: string,
): Promise<AlertEpisode | null> {
  return await changeEpisodes(database, async (trx) => {
    const query = trx.selectFrom('alerts').selectAll().where('id', '=', id)
    const open = await query.where('resolvedAt', 'is', null).forUpdate().executeTakeFirst()
    if (open === undefined) return null
    const at = now()
    const acknowledged = { acknowledgedBy: by, acknowledgedAt: at, comment, revision: open.revision + 1 }
    await trx.updateTable('alerts').set(acknowledged).where('id', '=', id).execute()
    if (endsOf(open.rule, open.severity) === 'acknowledgement') {
      const { openFingerprint: _, ...episode } = { ...open, ...acknowledged }
      await endEpisodes(trx, { config, channels: [] }, [episode], by, at)
    } else await editPosts(trx, [id], 'urgent', at)
    return await query.executeTakeFirstOrThrow()
  })
}

/**
 * Alerts that match are recorded, and not sent, until the end.
 * @returns the id of the silence.
 * @throws InvalidInputError that names what is missing or wrong.
 */
export async function silence(
  { database, config, now }: Context<'database'>,
  { matchers, ...draft }: SilenceDraft,
): Promise<number> {
  const at = now()
  checkSilence({ matchers, ...draft }, at)
  return await changeEpisodes(database, async (trx) => {
    const row = { ...draft, matchers: JSON.stringify(matchers), createdAt: at }
    const { insertId } = await trx.insertInto('silences').values(row).executeTakeFirstOrThrow()
    await reviewPosts(trx, { config, channels: [] }, at)
    return Number(insertId)
  })
}

/** What still fires is sent. False: there is no such silence, or it has ended. */
export async function endSilence(
  { database, config, now }: Context<'database'>,
  id: number,
): Promise<boolean> {
  const at = now()
  return await changeEpisodes(database, async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('silences')
      // Both ends belong to it.
      .set({ endsAt: new Date(at.getTime() - 1) })
      .where('id', '=', id)
      .where('endsAt', '>=', at)
      .executeTakeFirstOrThrow()
    await reviewPosts(trx, { config, channels: [] }, at)
    return numUpdatedRows > 0n
  })
}

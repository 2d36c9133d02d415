/** Alerts as tests see them: requests of the outbox, messages of the queue, and episodes. */
import type { Database } from '../../shared/database/connect.ts'
import { alerts } from '../../shared/messages/alerts.ts'
import type { TestContext } from './context.ts'

type Message = Record<string, unknown>

const isRaise = ({ kind }: Message): boolean => kind === 'raise'

/** Takes all messages out of the queue of the alerts. @returns those of conditions that were found. */
export const drainRaised = async (context: Pick<TestContext, 'drain'>): Promise<Message[]> =>
  (await context.drain('alerts')).filter(isRaise)

/** Every request in the order in which it was written: `raise store-fails cygno-data`, by what it is about. */
export async function alertLines(database: Database): Promise<readonly string[]> {
  const rows = await database
    .selectFrom('outbox')
    .select('body')
    .where('queue', '=', 'alerts')
    .orderBy('id')
    .execute()
  return rows.map(({ body }) => {
    const { kind, rule, subject, key, tag } = alerts.parse(body)
    return [kind, rule, key ?? (subject === '' ? tag : subject) ?? ''].join(' ').trim()
  })
}

/** Makes an episode of each condition that was raised last and not resolved, as dispatch-alert would. */
export async function asEpisodes(database: Database): Promise<void> {
  const rows = await database
    .selectFrom('outbox')
    .select(['id', 'body', 'runId', 'createdAt'])
    .where('queue', '=', 'alerts')
    .where('foldedAt', 'is', null)
    .orderBy('id')
    .execute()
  for (const { id, body, runId, createdAt } of rows) {
    const signal = alerts.parse(body)
    const { fingerprint, kind, rule, severity, labels, subject, summary, facts } = signal
    const open = database.updateTable('alerts').where('openFingerprint', '=', fingerprint)
    const before = await open
      .set((of) => ({ lastSeen: createdAt, count: of('count', '+', kind === 'raise' ? 1 : 0) }))
      .executeTakeFirst()
    if (kind === 'resolve') await open.set({ resolvedAt: createdAt, resolvedBy: 'rule' }).execute()
    else if (before.numUpdatedRows === 0n)
      await database
        .insertInto('alerts')
        .values({
          fingerprint,
          rule,
          severity,
          labels: JSON.stringify(labels),
          subject,
          tag: signal.tag,
          runNumber: signal.runNumber,
          runId,
          bucket: signal.bucket,
          objectKey: signal.key,
          summary,
          facts: JSON.stringify(facts),
          since: createdAt,
          lastSeen: createdAt,
        })
        .execute()
    await database.updateTable('outbox').set({ foldedAt: createdAt }).where('id', '=', id).execute()
  }
}

/** Alerts as tests see them: requests of the outbox, messages of the queue, and episodes. */
import { foldAlerts } from '../../shared/alerts/episodes.ts'
import { loadConfig } from '../../shared/config/config.ts'
import type { Database } from '../../shared/database/connect.ts'
import { createLogger } from '../../shared/log.ts'
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

/** What dispatch-alert does first, where no channel is configured. */
export async function asEpisodes(database: Database): Promise<void> {
  const config = loadConfig({ CYGNET_DATABASE_URL: 'mysql://unused@127.0.0.1/unused' })
  const log = createLogger({ function: 'test', level: 'silent' })
  await foldAlerts({ config, log, now: () => new Date(), owner: 'test', database, channels: [] })
}

/** A context whose alerts are shown in given channels, and whose time is the test's. */
import type { AlertChannel } from '../../../shared/alerts/channels/channel.ts'
import type { PostContext } from '../../../shared/alerts/post.ts'
import type { Alerting } from '../../../shared/config/alerts.ts'
import { loadConfig } from '../../../shared/config/config.ts'
import { addRequests, type Request } from '../../../shared/work/outbox.ts'
import { startTestContext, type TestContext } from '../context.ts'

export interface TestClock {
  readonly now: () => Date
  advance(ms: number): void
}

export function createTestClock(): TestClock {
  let at = Date.now()
  return {
    now: () => new Date(at),
    advance(ms) {
      at += ms
    },
  }
}

export interface AlertContext extends PostContext {
  /** Writes requests as any use case does, and sends no message: all wake-ups are lost. */
  raise(...requests: readonly Request[]): Promise<void>
  /** The same with other channels or settings. */
  with(channels: readonly AlertChannel[], settings?: AlertSettings): AlertContext
  /** Removes all alerts and messages. */
  clear(): Promise<void>
  close(): Promise<void>
}

export type AlertSettings = Partial<Pick<Alerting, 'routes' | 'escalation'>> & {
  readonly digestOver?: number
}

export async function startAlertContext(clock: TestClock): Promise<AlertContext> {
  const context = await startTestContext()
  return alertContext(context, clock, [], {})
}

export function alertContext(
  context: TestContext,
  clock: Pick<TestClock, 'now'>,
  channels: readonly AlertChannel[],
  { routes, escalation, digestOver }: AlertSettings,
): AlertContext {
  const names = channels.map(({ name }) => name)
  const alerting = {
    channels: Object.fromEntries(names.map((name) => [name, { type: 'webhook', url: 'http://localhost/' }])),
    routes: routes ?? [{ channels: names }],
    escalation,
  }
  const environment = {
    CYGNET_DATABASE_URL: 'mysql://localhost/none',
    CYGNET_PUBLIC_URL: 'https://cygnet.example.org/',
    ...(names.length === 0 ? {} : { CYGNET_ALERTS: JSON.stringify(alerting) }),
    ...(digestOver === undefined ? {} : { CYGNET_ALERT_DIGEST_OVER: String(digestOver) }),
  }
  const { access, alerts } = loadConfig(environment)
  const { database } = context
  return {
    ...context,
    config: { ...context.config, access, alerts },
    now: clock.now,
    channels,
    raise: (...requests) => addRequests(database, requests, clock.now()),
    with: (others, settings = {}) => alertContext(context, clock, others, settings),
    async clear() {
      for (const table of [
        'outbox',
        'alerts',
        'alertPosts',
        'silences',
        'alertChannels',
        'tasks',
        'breakers',
      ] as const)
        await database.deleteFrom(table).execute()
    },
  }
}

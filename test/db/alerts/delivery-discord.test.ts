/** From the request for an alert to its message in a channel of Discord, with Discord's limits. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll } from 'vitest'
import { LIMITS } from '../../../infra/local/services/discord/limits.ts'
import type { AlertChannel } from '../../../shared/alerts/channels/channel.ts'
import { classify } from '../../../shared/errors.ts'
import {
  type ChannelOptions,
  deliverySuite,
  type ObservedChannel,
} from '../../support/alerts/delivery-suite.ts'
import { startDiscordFixture, UNLIMITED } from '../../support/alerts/discord-fixture.ts'

/** So much shorter are the windows of its limits, for which the client really waits. */
const FASTER = 50

const opened: { close(): Promise<void> }[] = []
afterAll(async () => {
  for (const one of opened) await one.close()
})

/** The client counts limits on the machine's clock, the caller waits on that of the test. */
function reallyWaiting(channel: AlertChannel): AlertChannel {
  let until = 0
  const waiting = async <T>(work: () => Promise<T>): Promise<T> => {
    await sleep(Math.max(0, until - performance.now()))
    return await work().catch((error: unknown) => {
      until = performance.now() + Number(classify(error).details.retryAfterMs ?? 0)
      throw error
    })
  }
  return {
    ...channel,
    find: (...args) => waiting(() => channel.find(...args)),
    post: (...args) => waiting(() => channel.post(...args)),
    edit: (...args) => waiting(() => channel.edit(...args)),
  }
}

deliverySuite('a channel of Discord', async (options: ChannelOptions): Promise<ObservedChannel> => {
  const { limit } = options
  const bucket = limit && { ...limit, windowMs: limit.windowMs / FASTER }
  const limits = bucket === undefined ? UNLIMITED : { ...LIMITS, bucket }
  // For Discord the time of the test passes, and that of the machine between.
  const begun = performance.now()
  const now = () => new Date(options.now().getTime() + performance.now() - begun)
  const fixture = await startDiscordFixture(limits, { name: options.name, now })
  opened.push(fixture)
  return {
    channel: reallyWaiting(fixture.channel),
    visible: async () => fixture.shown().toReversed(),
    async delete(id) {
      fixture.delete(id)
    },
    setDown: (isDown) => fixture.setTrouble(isDown ? 'request-lost' : null),
    early: () => fixture.server.requests.filter(({ status }) => status === 429).length,
  }
})

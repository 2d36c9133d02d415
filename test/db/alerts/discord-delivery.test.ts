/** From the request for an alert to its message, in the stand-in for Discord. */
import { afterAll } from 'vitest'
import { type DiscordServer, serveDiscord } from '../../../infra/local/services/discord/server.ts'
import { connectDiscord } from '../../../shared/alerts/channels/discord.ts'
import {
  type ChannelOptions,
  deliverySuite,
  type ObservedChannel,
} from '../../support/alerts/delivery-suite.ts'
import { readText } from '../../support/alerts/discord-fixture.ts'

const TOKEN = 'MTMwMDAwMDAw.secret.token-of-the-bot'
const ID = '1300000000000000011'
/** A limit that no test reaches. */
const NO_LIMIT = { requests: 1_000_000, windowMs: 1000 }

const servers: DiscordServer[] = []
afterAll(() => Promise.all(servers.map((server) => server.close())))

/** The client of Discord measures windows by the clock of the machine: they are shorter here. */
const FASTER = 50

async function openChannel({ name, now, limit }: ChannelOptions): Promise<ObservedChannel> {
  const bucket = limit === undefined ? NO_LIMIT : { ...limit, windowMs: limit.windowMs / FASTER }
  const server = await serveDiscord({
    token: TOKEN,
    channels: [{ id: ID, name }],
    limits: { bucket, global: NO_LIMIT, invalid: NO_LIMIT },
    ...(limit === undefined ? { now } : {}),
  })
  servers.push(server)
  const channel = connectDiscord({ token: TOKEN, api: server.api })(name, ID)
  return {
    channel,
    visible: async () =>
      server.messages
        .list(ID, { limit: 1000 })
        .map(({ id, embeds }) => ({ id, text: embeds.map(readText).join('\n') }))
        .toReversed(),
    async delete(id) {
      server.messages.delete(ID, id)
    },
    setDown: (isDown) => server.setFault(isDown ? () => ({ kind: 'drop', when: 'before' }) : null),
    early: () => server.requests.filter(({ status }) => status === 429).length,
  }
}

deliverySuite('Discord', openChannel)

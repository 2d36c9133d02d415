/** Channels are opened from the configuration, and a missing setting is named. */
import { expect, it } from 'vitest'
import { openChannels } from '../../../shared/alerts/channels/open-channels.ts'
import { loadConfig } from '../../../shared/config/config.ts'

const ALERTS = {
  channels: {
    shift: { type: 'discord', channelId: '1300000000000000011' },
    night: { type: 'discord', channelId: '1300000000000000012' },
    phone: { type: 'webhook', url: 'https://oncall.example/hooks/1' },
  },
  routes: [{ channels: ['shift', 'phone'] }],
}
const open = async (alerts: object | null, environment: Record<string, string> = {}) =>
  await openChannels(
    loadConfig({
      CYGNET_DATABASE_URL: 'mysql://nobody@127.0.0.1:9/none',
      ...(alerts === null ? {} : { CYGNET_ALERTS: JSON.stringify(alerts) }),
      ...environment,
    }),
  )

it('each channel has its name, and a circuit breaker of its own', async () => {
  const channels = await open(ALERTS, { CYGNET_DISCORD_TOKEN: 'secret' })
  expect(channels.map(({ name, dependency }) => [name, dependency])).toEqual([
    ['shift', 'channel:shift'],
    ['night', 'channel:night'],
    ['phone', 'channel:phone'],
  ])
})

it('without CYGNET_ALERTS there are no channels', async () => {
  expect(await open(null)).toEqual([])
})

it('channels of Discord need the token of the bot, webhooks do not', async () => {
  await expect(open(ALERTS)).rejects.toThrow(/CYGNET_DISCORD_TOKEN must be set/)
  const { phone } = ALERTS.channels
  expect(await open({ channels: { phone }, routes: [{ channels: ['phone'] }] })).toHaveLength(1)
})

it('the token of the bot is not sent in plain text to another machine', async () => {
  const environment = { CYGNET_DISCORD_TOKEN: 'secret', CYGNET_DISCORD_API: 'http://discord.example/api' }
  await expect(open(ALERTS, environment)).rejects.toThrow(/CYGNET_DISCORD_API/)
})

/** Opens the configured channels. A driver is loaded only where a channel needs it. */
import { isSafeAddress } from '../../access/safe-address.ts'
import type { Config } from '../../config/config.ts'
import { InvalidInputError } from '../../errors.ts'
import type { AlertChannel } from './channel.ts'
import { createWebhook } from './webhook.ts'

/** None where CYGNET_ALERTS is not set. @throws InvalidInputError naming the setting that is missing or wrong. */
export async function openChannels({ alerts }: Config): Promise<readonly AlertChannel[]> {
  const configured = Object.entries(alerts.channels?.channels ?? {})
  const needsDiscord = configured.some(([, { type }]) => type === 'discord')
  const discord = needsDiscord ? await openDiscord(alerts) : null
  return configured.flatMap(([name, channel]) => {
    if (channel.type === 'webhook') return [createWebhook(name, channel)]
    return discord === null ? [] : [discord(name, channel.channelId)]
  })
}

async function openDiscord({ discordToken: token, discordApi: api }: Config['alerts']) {
  if (token === undefined)
    throw new InvalidInputError(
      'CYGNET_ALERTS names channels of Discord: CYGNET_DISCORD_TOKEN must be set as well',
    )
  if (!isSafeAddress(new URL(api)))
    throw new InvalidInputError(
      'CYGNET_DISCORD_API: the token is sent only to an address that begins with https://',
    )
  const { connectDiscord } = await import('./discord.ts')
  return connectDiscord({ token, api })
}

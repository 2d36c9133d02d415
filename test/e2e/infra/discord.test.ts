/** The stand-in for Discord as a service of the local stack. */
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Discord, startDiscord } from '../../../infra/local/services/discord/discord.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { openChannels } from '../../../shared/alerts/channels/open-channels.ts'
import { loadConfig } from '../../../shared/config/config.ts'
import { messageOf, PICTURE } from '../../support/alerts/channel-conformance.ts'

const signal = new AbortController().signal

describe('the stand-in for Discord', () => {
  const dataFolder = temporaryFolder()
  let discord: Discord
  beforeAll(async () => {
    discord = await startDiscord({ dataFolder })
  })
  afterAll(async () => {
    await discord?.stop()
    rmSync(dataFolder, { recursive: true, force: true })
  })

  const openShift = async () => {
    const channels = await openChannels(
      loadConfig({ CYGNET_DATABASE_URL: 'mysql://nobody@127.0.0.1:9/none', ...discord.environment }),
    )
    const shift = channels.find(({ name }) => name === 'shift')
    if (shift === undefined) throw new Error('there is no channel shift')
    return shift
  }
  const page = async () => await (await fetch(discord.page)).text()

  it('its settings open channels, its page shows their messages, and both survive a restart', async () => {
    const attachment = { name: 'event.png', contentType: 'image/png', bytes: PICTURE }
    const shift = await openShift()
    const id = await shift.post(messageOf({ attachment }), signal)
    expect(await page()).toContain('checksum of run 12345 of LNGS')
    await discord.stop()
    discord = await startDiscord({ dataFolder })
    const [, picture = ''] = /<img src="([^"]+)"/.exec(await page()) ?? []
    const bytes = await (await fetch(new URL(picture, discord.page))).arrayBuffer()
    expect(Buffer.from(bytes).equals(PICTURE)).toBe(true)
    const again = await openShift()
    expect(await again.find('17.1', new Date(), signal)).toBe(id)
    expect(await again.edit(id, messageOf({ state: 'resolved' }), signal)).toBe('edited')
    expect(await page()).toContain('RESOLVED')
  })
})

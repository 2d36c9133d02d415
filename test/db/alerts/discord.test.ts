/** Channels of Discord, against the stand-in that keeps Discord's limits. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { BOT_ID } from '../../../infra/local/services/discord/calls.ts'
import { LIMITS } from '../../../infra/local/services/discord/limits.ts'
import type { TransientError } from '../../../shared/errors.ts'
import { channelConformance, messageOf, PICTURE } from '../../support/alerts/channel-conformance.ts'
import { type DiscordFixture, SHIFT, startDiscordFixture } from '../../support/alerts/discord-fixture.ts'

channelConformance('Discord', startDiscordFixture, { isSearchable: true })

const signal = new AbortController().signal

describe('a channel of Discord', () => {
  let fixture: DiscordFixture
  afterEach(() => fixture.close())
  const embedsShown = () =>
    fixture.server.messages.list(SHIFT.id, { limit: 100 }).flatMap(({ embeds }) => embeds)
  const statuses = () => fixture.server.requests.map(({ status }) => status)

  it('the limit of a bucket is learnt from the answers: no request is sent that would be refused', async () => {
    fixture = await startDiscordFixture({ ...LIMITS, bucket: { requests: 5, windowMs: 1000 } })
    const posted: string[] = []
    let waits = 0
    for (let number = 1; posted.length < 12; ) {
      const post = fixture.channel.post(messageOf({ deliveryId: `${number}.1` }), signal)
      const ended = await post.catch((error: unknown) => error)
      if (typeof ended === 'string') {
        posted.push(ended)
        number += 1
      } else {
        const waitMs = Number((ended as TransientError).details.retryAfterMs)
        expect(waitMs).toBeGreaterThan(0)
        waits += 1
        await sleep(waitMs)
      }
    }
    expect(waits).toBeGreaterThan(0)
    expect(new Set(posted).size).toBe(12)
    expect(statuses()).toEqual(Array.from({ length: 12 }, () => 200))
  })

  it('a message is found among hundreds, and one of another author is not taken for ours', async () => {
    fixture = await startDiscordFixture()
    const { channel, server } = fixture
    const id = await channel.post(messageOf(), signal)
    const footer = { text: 'cygnet 18.1' }
    for (let number = 0; number < 250; number += 1)
      server.messages.post(SHIFT.id, '1300000000000000031', { content: 'chat', embeds: [{ footer }] }, [])
    expect(await channel.find('17.1', new Date(), signal)).toBe(id)
    expect(await channel.find('18.1', new Date(), signal)).toBeNull()
    server.messages.post(SHIFT.id, BOT_ID, { embeds: [{ footer }] }, [])
    expect(await channel.find('18.1', new Date(), signal)).not.toBeNull()
  })

  it('a search ends where the messages are older than the post', async () => {
    fixture = await startDiscordFixture()
    const { channel, server } = fixture
    for (let number = 0; number < 250; number += 1)
      server.messages.post(SHIFT.id, BOT_ID, { content: 'old' }, [])
    const inAnHour = new Date(Date.now() + 3_600_000)
    expect(await channel.find('17.1', inAnHour, signal)).toBeNull()
    expect(server.requests.filter(({ path }) => path.includes('/messages?'))).toHaveLength(1)
  })

  it('a search of many pages waits for the limit instead of beginning again', async () => {
    fixture = await startDiscordFixture({ ...LIMITS, bucket: { requests: 2, windowMs: 500 } })
    const { channel, server } = fixture
    const id = await channel.post(messageOf(), signal)
    for (let number = 0; number < 550; number += 1)
      server.messages.post(SHIFT.id, BOT_ID, { content: 'x' }, [])
    expect(await channel.find('17.1', new Date(), signal)).toBe(id)
    expect(statuses()).not.toContain(429)
  })

  it('a message that was deleted before its post was recorded is posted anew, once', async () => {
    fixture = await startDiscordFixture()
    const { channel } = fixture
    const first = await channel.post(messageOf(), signal)
    fixture.delete(first)
    const second = await channel.post(messageOf(), signal)
    expect(second).not.toBe(first)
    expect(await channel.post(messageOf(), signal)).toBe(second)
    expect(fixture.shown()).toHaveLength(1)
  })

  it('a first post is not edited, and a repetition with the same texts neither', async () => {
    fixture = await startDiscordFixture()
    await fixture.channel.post(messageOf({ text: '  odd\u3164 \ud83d\ude00 *text*\r\n- x ' }), signal)
    await fixture.channel.post(messageOf({ text: '  odd\u3164 \ud83d\ude00 *text*\r\n- x ' }), signal)
    expect(fixture.server.requests.map(({ method }) => method)).toEqual(['POST', 'POST'])
  })

  it('colours differ by severity and state, and what is resolved is green', async () => {
    fixture = await startDiscordFixture()
    const id = await fixture.channel.post(messageOf({ severity: 'warning' }), signal)
    expect(embedsShown()[0]).toMatchObject({ color: 0xf9a825, title: expect.stringMatching(/WARNING/) })
    await fixture.channel.edit(id, messageOf({ severity: 'warning', state: 'resolved' }), signal)
    expect(embedsShown()[0]).toMatchObject({
      color: 0x2e7d32,
      title: expect.stringMatching(/RESOLVED \(warning\)/),
    })
  })

  it('the picture of an event is shown in the embed, another file is attached, a huge one left out', async () => {
    fixture = await startDiscordFixture()
    const { channel } = fixture
    const picture = { name: 'a b.png', contentType: 'image/png', bytes: PICTURE }
    await channel.post(messageOf({ attachment: picture }), signal)
    expect(embedsShown()[0]?.image).toEqual({ url: 'attachment://a_b.png' })
    const table = { name: 'rates.csv', contentType: 'text/csv', bytes: Buffer.from('a,b') }
    await channel.post(messageOf({ deliveryId: '18.1', attachment: table }), signal)
    expect(embedsShown()[0]?.image).toBeUndefined()
    expect(fixture.shown()[0]?.files).toHaveLength(1)
    const huge = { ...picture, bytes: Buffer.alloc(9 * 1024 * 1024) }
    await channel.post(messageOf({ deliveryId: '19.1', attachment: huge }), signal)
    expect(fixture.shown()[0]?.files).toEqual([])
  })

  it('a missing right and a revoked token are told apart by the setting that is named', async () => {
    fixture = await startDiscordFixture()
    fixture.server.setChannels([{ ...SHIFT, permissions: { send: false } }])
    const error = await fixture.channel.post(messageOf(), signal).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      message: expect.stringContaining('CYGNET_ALERTS: channels.shift.channelId'),
      details: { operator: true, channel: 'shift', httpStatus: 403 },
    })
    fixture.setTrouble('token-revoked')
    const revoked = await fixture.channel.post(messageOf(), signal).catch((thrown: unknown) => thrown)
    expect(revoked).toMatchObject({
      message: expect.stringContaining('CYGNET_DISCORD_TOKEN'),
      details: { operator: true, httpStatus: 401 },
    })
  })
})

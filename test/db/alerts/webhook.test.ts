/** Webhooks, against a server that answers as phone and on-call services do. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createWebhook } from '../../../shared/alerts/channels/webhook.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { channelConformance, messageOf, PICTURE } from '../../support/alerts/channel-conformance.ts'
import { startWebhookFixture, type WebhookFixture } from '../../support/alerts/webhook-fixture.ts'

channelConformance('webhook', startWebhookFixture, { isSearchable: false })

const signal = new AbortController().signal

describe('a webhook', () => {
  let fixture: WebhookFixture
  beforeEach(async () => {
    fixture = await startWebhookFixture()
  })
  afterEach(() => fixture.close())

  it('the request has the message, the token and a key that is the delivery id', async () => {
    const attachment = { name: 'a.png', contentType: 'image/png', bytes: PICTURE }
    await fixture.channel.post(messageOf({ attachment }), signal)
    expect(fixture.requests).toEqual([
      {
        method: 'POST',
        authorization: `Bearer ${fixture.secret}`,
        key: '17.1',
        body: {
          version: 1,
          action: 'post',
          ...messageOf(),
          attachment: { name: 'a.png', contentType: 'image/png', base64: PICTURE.toString('base64') },
        },
      },
    ])
  })

  it('an edit has the id of the answer, and a key of its own for each text', async () => {
    const id = await fixture.channel.post(messageOf(), signal)
    for (const text of ['a', 'b', 'a']) await fixture.channel.edit(id, messageOf({ text }), signal)
    const [, ...edits] = fixture.requests
    expect(edits.map(({ body }) => [body.action, body.messageId])).toEqual([
      ['edit', id],
      ['edit', id],
      ['edit', id],
    ])
    const keys = edits.map(({ key }) => key)
    expect(keys[0]).toBe(keys[2])
    expect(new Set(['17.1', ...keys]).size).toBe(3)
  })

  it.each([
    ['no body', ''],
    ['a page', '<html>ok</html>'],
    ['another object', '{"ok":true}'],
    ['an endless answer', 'x'.repeat(1_000_000)],
  ])('an answer with %s is fine: the delivery id is the id', async (_, answer) => {
    fixture.setAnswer({ status: 202, body: answer })
    expect(await fixture.channel.post(messageOf(), signal)).toBe('17.1')
  })

  it('a redirect is not followed: neither the message nor the token reaches another address', async () => {
    const other = await startWebhookFixture()
    fixture.setAnswer({ status: 307, headers: { location: other.url } })
    const error = await fixture.channel.post(messageOf(), signal).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      message: expect.stringContaining('CYGNET_ALERTS: channels.phone.url'),
      details: { operator: true },
    })
    expect(other.requests).toEqual([])
    await other.close()
  })

  it.each([
    ['seconds', '120', 120_000],
    ['a date in the past', 'Mon, 30 Nov 2020 20:00:00 GMT', 0],
  ])('the time to wait is read as %s', async (_, header, expected) => {
    fixture.setAnswer({ status: 429, headers: { 'retry-after': header } })
    await expect(fixture.channel.post(messageOf(), signal)).rejects.toMatchObject({
      details: { retryAfterMs: expected },
    })
  })

  it('a service that is down is known by the code of the connection', async () => {
    await fixture.close()
    await expect(fixture.channel.post(messageOf(), signal)).rejects.toMatchObject({
      name: 'TransientError',
      details: { error: 'ECONNREFUSED', channel: 'phone' },
    })
  })

  it('no error names the address, whose path may be a secret', async () => {
    const secretPath = new URL(fixture.url).pathname
    const answers = [{ status: 500 }, { status: 400 }, { status: 404 }, { status: 302 }]
    for (const answer of answers) {
      fixture.setAnswer(answer)
      const error = await fixture.channel.post(messageOf(), signal).catch((thrown: unknown) => thrown)
      expect(String((error as Error).stack)).not.toContain(secretPath)
    }
  })

  it('a token is never sent in plain text to another machine, an address inside is allowed without one', () => {
    const inside = { url: 'http://10.0.0.7/hooks/1' }
    expect(() => createWebhook('phone', { ...inside, token: 'secret' })).toThrow(InvalidInputError)
    expect(() => createWebhook('phone', { ...inside, token: 'secret' })).toThrow(
      /CYGNET_ALERTS: channels\.phone\.url/,
    )
    expect(createWebhook('phone', inside).name).toBe('phone')
    expect(createWebhook('phone', { url: 'https://oncall.example/', token: 'secret' }).name).toBe('phone')
  })
})

/** The stand-in for Discord refuses what Discord refuses. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BOT_ID } from '../../../infra/local/services/discord/calls.ts'
import { type DiscordServer, serveDiscord } from '../../../infra/local/services/discord/server.ts'

const TOKEN = 'the-token-of-the-bot'
const SHIFT = '1300000000000000011'
const OTHER = '1300000000000000012'
const AGENT = 'DiscordBot (https://example.org, 1.0)'

describe('the stand-in for Discord', () => {
  let server: DiscordServer
  let at: number
  const start = async (options: Partial<Parameters<typeof serveDiscord>[0]> = {}) => {
    at = Date.UTC(2026, 10, 30)
    const channels = [
      { id: SHIFT, name: 'shift' },
      { id: OTHER, name: 'other' },
    ]
    server = await serveDiscord({ token: TOKEN, channels, now: () => new Date(at), ...options })
  }
  beforeEach(() => start())
  afterEach(() => server.close())

  const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${server.api}/v10${path}`, {
      method,
      headers: {
        authorization: `Bot ${TOKEN}`,
        'user-agent': AGENT,
        ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : body instanceof FormData ? body : JSON.stringify(body),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type') === 'application/json'
    return { status: response.status, headers: response.headers, json: isJson ? JSON.parse(text) : null }
  }
  const messagesOf = (channel = SHIFT) => `/channels/${channel}/messages`
  const post = (body: object, channel?: string) => ask('POST', messagesOf(channel), body)
  const textsOf = async (query: string) =>
    (await ask('GET', `${messagesOf()}?${query}`)).json.map(({ content }: { content: string }) => content)

  it('a request without the token of the bot gets 401, and one without a User-Agent of a bot 403', async () => {
    const wrong = await ask('GET', messagesOf(), undefined, { authorization: 'Bot other' })
    expect(wrong.status).toBe(401)
    expect(wrong.json).toEqual({ message: '401: Unauthorized', code: 0 })
    expect((await ask('GET', messagesOf(), undefined, { 'user-agent': 'curl/8' })).status).toBe(403)
  })

  it('an unknown channel, a channel without access and one without the right to send are told apart', async () => {
    expect((await ask('GET', messagesOf('1300000000000000099'))).json).toMatchObject({ code: 10_003 })
    expect((await ask('GET', messagesOf('12'))).json).toMatchObject({ code: 50_035 })
    server.setChannels([{ id: SHIFT, name: 'shift', permissions: { view: false } }])
    const hidden = await post({ content: 'x' })
    expect([hidden.status, hidden.json.code]).toEqual([403, 50_001])
    server.setChannels([{ id: SHIFT, name: 'shift', permissions: { send: false } }])
    const silent = await post({ content: 'x' })
    expect([silent.status, silent.json.code]).toEqual([403, 50_013])
  })

  it('five requests fit in the bucket of a route and channel, and the sixth waits for its end', async () => {
    for (const left of [4, 3, 2, 1, 0]) {
      const { status, headers } = await post({ content: 'x' })
      expect([status, headers.get('x-ratelimit-remaining')]).toEqual([200, String(left)])
      at += 100
    }
    const { status, headers, json } = await post({ content: 'x' })
    expect(status).toBe(429)
    expect(json).toEqual({ message: 'You are being rate limited.', retry_after: 4.5, global: false })
    expect(headers.get('retry-after')).toBe('5')
    expect(headers.get('x-ratelimit-scope')).toBe('user')
    expect(headers.get('x-ratelimit-reset-after')).toBe('4.5')
    expect(headers.get('x-ratelimit-reset')).toBe(String((at + 4500) / 1000))
    expect(server.messages.list(SHIFT, { limit: 100 })).toHaveLength(5)
    const other = await post({ content: 'x' }, OTHER)
    expect(other.status).toBe(200)
    expect(other.headers.get('x-ratelimit-bucket')).toBe(headers.get('x-ratelimit-bucket'))
    at += 4500
    expect((await post({ content: 'x' })).status).toBe(200)
  })

  it('all requests together have a limit of fifty a second', async () => {
    for (let number = 0; number < 50; number += 1) await ask('GET', '/users/@me')
    const { status, headers, json } = await ask('GET', '/users/@me')
    expect([status, json.global, json.retry_after]).toEqual([429, true, 1])
    expect(headers.get('x-ratelimit-global')).toBe('true')
    expect(headers.get('x-ratelimit-scope')).toBe('global')
    at += 1000
    expect((await ask('GET', '/users/@me')).json.id).toBe(BOT_ID)
  })

  it('who makes too many invalid requests is banned for a while, also with a valid token', async () => {
    await server.close()
    const limits = {
      bucket: { requests: 5, windowMs: 5000 },
      global: { requests: 50, windowMs: 1000 },
      invalid: { requests: 3, windowMs: 600_000 },
    }
    await start({ limits })
    for (const _ of [1, 2, 3]) await ask('GET', '/users/@me', undefined, { authorization: 'Bot other' })
    const banned = await ask('GET', '/users/@me')
    expect([banned.status, banned.json, banned.headers.get('retry-after')]).toEqual([429, null, '600'])
    at += 600_000
    expect((await ask('GET', '/users/@me')).status).toBe(200)
  })

  it.each([
    ['title', { title: 'x'.repeat(257) }, 256],
    ['description', { description: 'x'.repeat(4097) }, 4096],
    ['footer.text', { footer: { text: 'x'.repeat(2049) } }, 2048],
    ['fields.0.name', { fields: [{ name: 'x'.repeat(257), value: 'x' }] }, 256],
    ['fields.0.value', { fields: [{ name: 'x', value: 'x'.repeat(1025) }] }, 1024],
    ['fields', { fields: Array.from({ length: 26 }, () => ({ name: 'x', value: 'x' })) }, 25],
  ])('a longer %s of an embed is refused at its place', async (place, embed, most) => {
    const { status, json } = await post({ embeds: [embed] })
    expect(status).toBe(400)
    expect(json).toMatchObject({ code: 50_035, message: 'Invalid Form Body' })
    const errors = `embeds.0.${place}`.split('.').reduce((tree, key) => tree[key], json.errors)
    expect(errors._errors).toEqual([
      { code: 'BASE_TYPE_MAX_LENGTH', message: `Must be ${most} or fewer in length.` },
    ])
    expect(server.messages.list(SHIFT, { limit: 1 })).toEqual([])
  })

  it('embeds of more than 6000 characters, empty fields, long contents and empty messages are refused', async () => {
    const long = { description: 'x'.repeat(4000), footer: { text: 'x'.repeat(2001) } }
    const tooLarge = await post({ embeds: [long] })
    expect(tooLarge.json.errors.embeds._errors[0].code).toBe('MAX_EMBED_SIZE_EXCEEDED')
    const blank = await post({ embeds: [{ fields: [{ name: ' ', value: 'x' }] }] })
    expect(blank.json.errors.embeds['0'].fields['0'].name._errors[0].code).toBe('BASE_TYPE_REQUIRED')
    expect((await post({ content: 'x'.repeat(2001) })).json.code).toBe(50_035)
    expect((await post({ content: ' ' })).json.code).toBe(50_006)
  })

  it('a nonce gives the first message for five minutes, another one afterwards', async () => {
    const body = { content: 'x', nonce: 'n'.repeat(25), enforce_nonce: true }
    const first = await post(body)
    expect(first.json.nonce).toBe(body.nonce)
    at += 299_999
    expect((await post({ ...body, content: 'y' })).json).toMatchObject({ id: first.json.id, content: 'x' })
    expect((await post({ ...body, enforce_nonce: false })).json.id).not.toBe(first.json.id)
    at += 1
    expect((await post(body)).json.id).not.toBe(first.json.id)
    expect((await post({ ...body, nonce: 'n'.repeat(26) })).json.errors.nonce._errors[0].code).toBe(
      'BASE_TYPE_MAX_LENGTH',
    )
  })

  it('the nonce of a deleted message gives Unknown Message, and lists contain no nonce', async () => {
    const body = { content: 'x', nonce: '1', enforce_nonce: true }
    const { json } = await post(body)
    expect((await ask('GET', messagesOf())).json[0]).not.toHaveProperty('nonce')
    expect((await ask('DELETE', `${messagesOf()}/${json.id}`)).status).toBe(204)
    const again = await post(body)
    expect([again.status, again.json]).toEqual([404, { message: 'Unknown Message', code: 10_008 }])
    const edited = await ask('PATCH', `${messagesOf()}/${json.id}`, { content: 'y' })
    expect([edited.status, edited.json.code]).toEqual([404, 10_008])
  })

  it('messages are listed from the newest, before and after another one', async () => {
    const ids: string[] = []
    for (const content of ['a', 'b', 'c', 'd']) {
      ids.push((await post({ content })).json.id)
      at += 2000
    }
    expect(await textsOf('limit=3')).toEqual(['d', 'c', 'b'])
    expect(await textsOf(`limit=2&before=${ids[3]}`)).toEqual(['c', 'b'])
    expect(await textsOf(`limit=2&after=${ids[0]}`)).toEqual(['c', 'b'])
    expect((await ask('GET', `${messagesOf()}?limit=101`)).status).toBe(400)
    server.setChannels([{ id: SHIFT, name: 'shift', permissions: { history: false } }])
    at += 5000
    expect(await textsOf('limit=3')).toEqual([])
  })

  it('a post notifies whom its content mentions, if that is allowed, and an edit nobody', async () => {
    const [user, role] = ['1300000000000000021', '1300000000000000022']
    const content = `@everyone <@${user}> <@&${role}>`
    const mentioned = ({ mentions, mention_roles, mention_everyone }: Record<string, unknown>) => [
      mentions,
      mention_roles,
      mention_everyone,
    ]
    expect(mentioned((await post({ content })).json)).toEqual([[{ id: user }], [role], true])
    const none = { allowed_mentions: { parse: [] } }
    expect(mentioned((await post({ content, ...none })).json)).toEqual([[], [], false])
    const one = await post({ content, allowed_mentions: { parse: [], roles: [role] } })
    expect(mentioned(one.json)).toEqual([[], [role], false])
    const both = { parse: ['users'], users: [user] }
    expect((await post({ content, allowed_mentions: both })).json.code).toBe(50_035)
    const inEmbed = await post({ embeds: [{ description: content }] })
    expect(mentioned(inEmbed.json)).toEqual([[], [], false])
    await ask('PATCH', `${messagesOf()}/${inEmbed.json.id}`, { content })
    expect(server.messages.get(SHIFT, inEmbed.json.id)?.notified.users).toEqual([])
  })

  it('an edit keeps what it does not name, and nobody edits the message of another', async () => {
    const form = new FormData()
    form.set('payload_json', JSON.stringify({ content: 'x', embeds: [{ title: 'a' }] }))
    form.set('files[0]', new Blob(['picture'], { type: 'image/png' }), 'a.png')
    const { json } = await ask('POST', messagesOf(), form)
    expect(json.attachments).toMatchObject([{ filename: 'a.png', content_type: 'image/png', size: 7 }])
    expect(await (await fetch(json.attachments[0].url)).text()).toBe('picture')
    const edited = await ask('PATCH', `${messagesOf()}/${json.id}`, { embeds: [{ title: 'b' }] })
    expect(edited.json).toMatchObject({ content: 'x', embeds: [{ title: 'b' }], attachments: [{ size: 7 }] })
    const bare = await ask('PATCH', `${messagesOf()}/${json.id}`, { attachments: [] })
    expect(bare.json.attachments).toEqual([])
    const foreign = server.messages.post(SHIFT, '1300000000000000031', { content: 'hello' }, [])
    if (foreign === 'unknown') throw new Error('not posted')
    expect((await ask('PATCH', `${messagesOf()}/${foreign.id}`, { content: 'x' })).json.code).toBe(50_005)
  })

  it('a lost answer does not undo the message, a lost request makes none', async () => {
    server.setFault(() => ({ kind: 'drop', when: 'before' }))
    await expect(post({ content: 'lost' })).rejects.toThrow('fetch failed')
    server.setFault(() => ({ kind: 'drop', when: 'after' }))
    await expect(post({ content: 'posted' })).rejects.toThrow('fetch failed')
    server.setFault(() => ({ kind: 'status', status: 503 }))
    expect((await post({ content: 'refused' })).status).toBe(503)
    server.setFault(null)
    expect(await textsOf('limit=9')).toEqual(['posted'])
  })

  it('its page shows the messages without running anything that is in them', async () => {
    await post({
      content: '<script>alert(1)</script>',
      embeds: [{ title: '"><img src=x>', description: '[a](https://a.example/) \\[b](https://b.example)' }],
    })
    const response = await fetch(server.origin)
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    const page = await response.text()
    expect(page).not.toContain('<script>')
    expect(page).not.toContain('<img')
    expect(page).toContain('<a href="https://a.example/"')
  })
})

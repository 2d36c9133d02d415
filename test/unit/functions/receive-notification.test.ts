import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { WebhookPorts } from '../../../functions/receive-notification/ports.ts'
import { createWebhook } from '../../../functions/receive-notification/webhook.ts'
import { parseNotification } from '../../../shared/notifications/parse.ts'
import { fakePorts, TOKEN } from '../../support/functions/fake-ports.ts'
import { record } from '../../support/notifications/arrivals.ts'
import { repeatForAMinute } from '../../support/repeat-for-a-minute.ts'

const EVENTS = new URL('../../../events/', import.meta.url)
const recordedFiles = readdirSync(EVENTS).filter((name) => name.endsWith('.json'))

type RequestBody = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>

function webhook(overrides: Partial<WebhookPorts> = {}) {
  const fake = fakePorts(overrides)
  const app = createWebhook(fake.ports)
  const post = async (
    body: RequestBody,
    { path = '/', headers = { authorization: `Bearer ${TOKEN}` } as Record<string, string> } = {},
  ) => {
    const init: RequestInit & { duplex?: 'half' } = { method: 'POST', body, headers, duplex: 'half' }
    return await app.request(path, init)
  }
  return { ...fake, app, post }
}

const payload = (...keys: readonly string[]) =>
  JSON.stringify({ Records: keys.map((key) => record({ key })) })
const RUN = 'LNGS/run12345.mid.gz'

/** A body that comes in pieces without a stated length, as a client with chunked encoding sends it. */
function chunked(chunk: Uint8Array, count: number) {
  let sent = 0
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent++ < count) controller.enqueue(chunk)
      else controller.close()
    },
  })
  return { stream, chunksRead: () => sent }
}

describe('an arrival is in the ledger and the queue before the store hears 200', () => {
  test('ledger first, then queue', async () => {
    const { post, steps, recorded, sent } = webhook()
    const response = await post(payload(RUN))
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ arrivals: 1, ignored: 0, parked: 0 })
    expect(steps).toEqual(['ledger', 'queue'])
    expect(recorded.map((arrival) => arrival.key)).toEqual([RUN])
    expect(sent).toEqual(recorded)
  })

  test.each(recordedFiles)('%s', async (name) => {
    const text = readFileSync(new URL(name, EVENTS), 'utf8')
    const wanted = parseNotification(text)
    const { post, recorded, sent, parked, steps } = webhook()
    expect((await post(text)).status).toBe(200)
    expect(recorded).toEqual(wanted.arrivals)
    expect(sent).toEqual(wanted.arrivals)
    expect(parked).toEqual([])
    expect(steps).toEqual(wanted.arrivals.length === 0 ? [] : ['ledger', 'queue'])
  })

  test('a thousand records of one payload', async () => {
    const { post, sent } = webhook({ bodyLimitBytes: 1024 * 1024 })
    const keys = Array.from({ length: 1000 }, (_, run) => `LNGS/run${run}.mid.gz`)
    expect(await (await post(payload(...keys))).json()).toEqual({ arrivals: 1000, ignored: 0, parked: 0 })
    expect(sent.map((arrival) => arrival.key)).toEqual(keys)
  })

  test('a record that is repeated within a payload is one arrival', async () => {
    const { post, sent } = webhook()
    await post(payload(RUN, RUN, 'LNGS/run12346.mid.gz', RUN))
    expect(sent.map((arrival) => arrival.key)).toEqual([RUN, 'LNGS/run12346.mid.gz'])
  })

  test('objects that no function works on leave no trace', async () => {
    const { post, recorded, sent } = webhook({ concerns: ({ key }) => key.startsWith('LNGS/') })
    expect(await (await post(payload('EVENTS/LNGS_1_2.dat', RUN))).json()).toEqual({
      arrivals: 1,
      ignored: 1,
      parked: 0,
    })
    expect(recorded).toEqual(sent)
    expect(sent.map((arrival) => arrival.key)).toEqual([RUN])
  })

  test.each(['ledger', 'queue'] as const)(
    '503 without internal details while the %s is down; sent again, it arrives',
    async (part) => {
      const { post, down, sent, logText } = webhook()
      down.add(part)
      const response = await post(payload(RUN))
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('5')
      expect(await response.text()).not.toMatch(/ECONNREFUSED|mysql/)
      expect(sent).toEqual([])
      expect(logText()).toContain('notification-not-stored')
      expect(logText()).not.toContain('password')
      down.clear()
      expect((await post(payload(RUN))).status).toBe(200)
      expect(sent).toHaveLength(1)
    },
  )
})

describe('what is not understood is parked, and answered 200', () => {
  test.each([
    ['text', 'hello', 'the notification is not JSON'],
    ['half a JSON text', '{"Records":[', 'the notification is not JSON'],
    ['JSON of another shape', '{"hello":"world"}', 'this is not an S3 notification'],
    ['a number', '7', 'this is not an S3 notification'],
    ['nothing at all', '', 'the notification is empty'],
    ['a key that cannot be decoded', payload('100%'), 'the object key has a malformed % escape'],
  ])('%s', async (_, body, reason) => {
    const { post, parked, steps } = webhook()
    const response = await post(body)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ arrivals: 0, ignored: 0, parked: 1 })
    expect(parked).toEqual([{ body, reason }])
    expect(steps).toEqual(['park'])
  })

  test('the good records of the same payload arrive all the same, and the whole payload is kept once', async () => {
    const { post, parked, sent } = webhook()
    const body = payload('', RUN, '', '%')
    expect(await (await post(body)).json()).toEqual({ arrivals: 1, ignored: 0, parked: 3 })
    expect(sent.map((arrival) => arrival.key)).toEqual([RUN])
    expect(parked).toEqual([
      { body, reason: 'the object key is empty (2 records); the object key has a malformed % escape' },
    ])
  })

  test('bytes that are no text are kept as base64', async () => {
    const { post, parked } = webhook()
    const bytes = new Uint8Array([0xff, 0xfe, 0x00])
    expect((await post(bytes)).status).toBe(200)
    expect(parked).toEqual([{ body: '//4A', reason: 'the body is not UTF-8 text (kept as base64)' }])
  })

  test('503 when it cannot be parked', async () => {
    const { post, down } = webhook()
    down.add('park')
    expect((await post('hello')).status).toBe(503)
  })
})

describe('bodies', () => {
  test('gzip is unpacked, whether the header says so or not', async () => {
    const { post, sent } = webhook()
    const zipped = new Uint8Array(gzipSync(payload(RUN)))
    await post(zipped, { headers: { authorization: `Bearer ${TOKEN}`, 'content-encoding': 'gzip' } })
    await post(zipped)
    await post(payload(RUN), { headers: { authorization: `Bearer ${TOKEN}`, 'content-encoding': 'gzip' } })
    expect(sent).toHaveLength(3)
  })

  test('damaged gzip is parked', async () => {
    const { post, parked } = webhook()
    const zipped = new Uint8Array(gzipSync(payload(RUN))).slice(0, 40)
    expect((await post(zipped)).status).toBe(200)
    expect(parked).toEqual([
      { body: Buffer.from(zipped).toString('base64'), reason: 'the body is damaged gzip (kept as base64)' },
    ])
  })

  test('413 for a body over the limit, and for gzip that grows over it', async () => {
    const { post, steps } = webhook()
    expect((await post(' '.repeat(64 * 1024 + 1))).status).toBe(413)
    expect((await post(new Uint8Array(gzipSync(' '.repeat(50 * 1024 * 1024))))).status).toBe(413)
    expect(steps).toEqual([])
  })

  test('a body of exactly the limit is taken', async () => {
    const { post } = webhook()
    expect((await post(payload(RUN).padEnd(64 * 1024))).status).toBe(200)
  })

  test('413 for a chunked body without end, read no further than the limit', async () => {
    const { post, steps } = webhook()
    const { stream, chunksRead } = chunked(new Uint8Array(1024).fill(0x20), 1_000_000)
    expect((await post(stream)).status).toBe(413)
    expect(chunksRead()).toBeLessThan(70)
    expect(steps).toEqual([])
  })

  test('a chunked body within the limit is taken', async () => {
    const { post, sent } = webhook()
    const { stream } = chunked(new TextEncoder().encode(payload(RUN)), 1)
    expect((await post(stream)).status).toBe(200)
    expect(sent).toHaveLength(1)
  })
})

describe('who may post', () => {
  test.each([
    ['MinIO: a bearer token', '/', { authorization: `Bearer ${TOKEN}` }],
    ['a bearer token in small letters', '/minio', { authorization: `bearer  ${TOKEN}` }],
    ['Ceph: the token in the path', `/ceph/${TOKEN}`, {}],
    ['the token alone in the path', `/${TOKEN}`, {}],
    ['Ceph behind an API Gateway', `/webhook/ceph/${TOKEN}`, {}],
    [
      'the token in the path, and a wrong one in the header',
      `/ceph/${TOKEN}`,
      { authorization: 'Bearer wrong' },
    ],
  ])('%s', async (_, path, headers) => {
    const { post, sent } = webhook()
    expect((await post(payload(RUN), { path, headers })).status).toBe(200)
    expect(sent).toHaveLength(1)
  })

  test.each([
    ['nothing', '/', {}],
    ['an empty token', '/', { authorization: 'Bearer ' }],
    ['another token', '/', { authorization: 'Bearer another' }],
    ['a part of the token', '/', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
    ['the token and more', '/', { authorization: `Bearer ${TOKEN}x` }],
    ['the token without scheme', '/', { authorization: TOKEN }],
    ['another scheme', '/', { authorization: `Basic ${TOKEN}` }],
    ['another token in the path', '/ceph/another', {}],
    ['the token as store', `/${TOKEN}/ceph`, {}],
    ['the token as query', `/?token=${TOKEN}`, {}],
    ['an escape that is none in the path', '/ceph/%zz', {}],
  ])('401 for %s, and nothing is recorded', async (_, path, headers) => {
    const { post, steps } = webhook()
    const response = await post(payload(RUN), { path, headers })
    expect(response.status).toBe(401)
    expect(await response.json()).toEqual({ error: 'unauthorized' })
    expect(steps).toEqual([])
  })

  /** As Ceph sends it: the topic's OpaqueData is in each record. */
  const withOpaqueData = (...tokens: readonly (string | undefined)[]) =>
    JSON.stringify({ Records: tokens.map((opaqueData) => ({ ...record({ key: RUN }), opaqueData })) })

  test('Ceph: the token in the body', async () => {
    const { post, sent } = webhook()
    expect((await post(withOpaqueData(TOKEN), { path: '/ceph', headers: {} })).status).toBe(200)
    expect((await post(withOpaqueData(TOKEN, TOKEN), { headers: {} })).status).toBe(200)
    expect(sent).toHaveLength(2)
  })

  test.each([
    ['no opaque data', withOpaqueData(undefined)],
    ['an empty one', withOpaqueData('')],
    ['another token', withOpaqueData('another')],
    ['the token in one of two records', withOpaqueData(TOKEN, 'another')],
    [
      'the token outside of the records',
      JSON.stringify({ opaqueData: TOKEN, Records: [record({ key: RUN })] }),
    ],
    ['the token and no record', JSON.stringify({ opaqueData: TOKEN, Records: [] })],
    ['a body that is no JSON', `"opaqueData": "${TOKEN}"`],
    ['a body that is too long', withOpaqueData(TOKEN).padEnd(64 * 1024 + 1)],
  ])('401 for %s in a body without other credentials', async (_, body) => {
    const { post, steps } = webhook({ bodyLimitBytes: 1024 * 1024 })
    expect((await post(body, { path: '/ceph', headers: {} })).status).toBe(401)
    expect(steps).toEqual([])
  })

  test('a notification that is kept for people does not show the token in it', async () => {
    const { post, parked, logText } = webhook()
    const records = [{ ...record({ key: '%' }), opaqueData: TOKEN }]
    expect((await post(JSON.stringify({ Records: records }), { path: '/ceph', headers: {} })).status).toBe(
      200,
    )
    expect(parked).toHaveLength(1)
    expect(parked[0]?.body).toContain('"opaqueData":"***"')
    expect(parked[0]?.body + logText()).not.toContain(TOKEN)
  })

  const broken = JSON.stringify({ Records: [{ ...record({ key: '%' }), opaqueData: TOKEN }] })
  test.each([
    ['a field name with an escape', broken.replace('opaqueData', 'opaque\\u0044ata')],
    ['a token with an escape', broken.replace(TOKEN, TOKEN.replace('-', '\\u002d'))],
    ['JSON in a string, of SNS', JSON.stringify({ Type: 'Notification', Message: broken })],
    [
      'the same with escapes',
      JSON.stringify({ Message: broken.replace(TOKEN, TOKEN.replace('-', '\\u002d')) }),
    ],
    [
      'base64, of a CloudEvent',
      JSON.stringify({ id: '1', data_base64: Buffer.from(broken).toString('base64') }),
    ],
    ['another field', JSON.stringify({ headers: { authorization: `Bearer ${TOKEN}` } })],
    ['no JSON', `token=${TOKEN}`],
    ['bytes that are no text', new Uint8Array([0xff, ...Buffer.from(`the token ${TOKEN}`)])],
    [
      'JSON nested very deeply',
      `${'['.repeat(20_000)}${JSON.stringify({ opaqueData: TOKEN })}${']'.repeat(20_000)}`,
    ],
  ])('nothing that is kept has the token in it: %s', async (_, body) => {
    const { post, parked, logText } = webhook()
    expect((await post(body)).status).toBe(200)
    expect(parked).toHaveLength(1)
    const kept = parked[0]?.body ?? ''
    const decoded = (kept.match(/[A-Za-z0-9+/=]{16,}/g) ?? []).map((part) =>
      Buffer.from(part, 'base64').toString('latin1'),
    )
    const everything = [kept, ...decoded, logText()].join('\n').replaceAll(/\\+u002d/g, '-')
    expect(everything).not.toContain(TOKEN)
    expect(everything).toContain('***')
  })

  test('a token with signs that paths encode', async () => {
    const { post, sent } = webhook({ token: 'a/b c+d%' })
    expect(
      (await post(payload(RUN), { path: `/ceph/${encodeURIComponent('a/b c+d%')}`, headers: {} })).status,
    ).toBe(200)
    expect(sent).toHaveLength(1)
  })

  test('no webhook without a token', () => {
    expect(() => webhook({ token: '' })).toThrow('CYGNET_NOTIFICATION_TOKEN')
    expect(() => webhook({ token: '  ' })).toThrow('CYGNET_NOTIFICATION_TOKEN')
  })

  test('the token is never logged, wherever it was sent', async () => {
    const { post, logText } = webhook()
    await post(payload(RUN), { path: `/ceph/${TOKEN}`, headers: {} })
    await post(payload(RUN))
    await post('hello', { path: `/${TOKEN}`, headers: {} })
    expect(logText()).toContain('notification-received')
    expect(logText()).not.toContain(TOKEN)
  })
})

describe('a store that repeats a refused notification at once and for ever', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())
  const WRONG = { path: '/ceph/wrong', headers: {} }

  test('is answered a few times a minute, and each minute has one line with the count', async () => {
    const { post, lines } = webhook()
    const posts =
      (await repeatForAMinute(() => post(payload(RUN), WRONG))) +
      (await repeatForAMinute(() => post(payload(RUN), WRONG)))
    expect(posts).toBeLessThan(50)
    await vi.advanceTimersByTimeAsync(120_000)
    const refused = lines.filter(({ event }) => event === 'notification-refused')
    expect(refused.length).toBeLessThanOrEqual(4)
    expect(refused[0]).toMatchObject({
      level: 'warn',
      count: 1,
      reason: 'a notification without a valid token',
    })
    expect(refused.reduce((sum, { count }) => sum + Number(count), 0)).toBe(posts)
    expect(refused.at(-1)).toMatchObject({ total: posts })
  })

  test('is counted for the alert, also when the database answers only later', async () => {
    const { post, noted, down } = webhook()
    down.add('refusals')
    const posts = await repeatForAMinute(() => post(payload(RUN), WRONG))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(noted).toEqual([])
    down.clear()
    await vi.advanceTimersByTimeAsync(120_000)
    expect(noted).toEqual([
      expect.objectContaining({ reason: 'a notification without a valid token', count: posts }),
    ])
  })

  test('is counted at once and then once a minute, whatever the number of senders', async () => {
    const { app, noted } = webhook({ addressOf: (_, forwardedFor) => forwardedFor ?? null })
    let sender = 0
    for (let minute = 0; minute < 3; minute++)
      await repeatForAMinute(async () => {
        const headers = { 'x-forwarded-for': `192.0.2.${sender++ % 5}` }
        return await app.request('/ceph', { method: 'POST', body: payload(RUN), headers })
      })
    expect(noted[0]?.count).toBe(1)
    expect(noted.length).toBeLessThanOrEqual(4)
  })

  test('while the database is down, is neither answered nor logged a thousand times', async () => {
    const { post, lines, down, sent } = webhook()
    down.add('ledger')
    expect(await repeatForAMinute(() => post(payload(RUN)))).toBeLessThan(30)
    expect(lines.filter(({ event }) => event === 'notification-not-stored').length).toBeLessThanOrEqual(2)
    down.clear()
    expect((await post(payload(RUN))).status).toBe(200)
    expect(sent).toHaveLength(1)
  })

  test('is delayed as well while the process is ending, and its log has all of them', async () => {
    const { app, lines, noted } = webhook()
    const end = new AbortController()
    const request = async () => {
      const host = { ending: end.signal, clientAddress: '192.0.2.7' }
      return await app.request('/ceph', { method: 'POST', body: payload(RUN) }, host)
    }
    let posts = await repeatForAMinute(request, 8)
    end.abort()
    const after = await repeatForAMinute(request, 100)
    posts += after
    expect(after).toBeLessThan(70)
    await vi.advanceTimersByTimeAsync(2_000)
    const refused = lines.filter(({ event }) => event === 'notification-refused')
    expect(refused.reduce((sum, { count }) => sum + Number(count), 0)).toBe(posts)
    expect(noted.reduce((sum, { count }) => sum + count, 0)).toBe(posts)
  })

  test('does not delay the notifications of others', async () => {
    const { post } = webhook()
    await repeatForAMinute(() => post(payload(RUN), WRONG))
    expect((await post(payload(RUN))).status).toBe(200)
  })

  test('of many who do so at once only some are held, and the others are answered at once', async () => {
    const { post, lines } = webhook()
    await repeatForAMinute(() => post(payload(RUN), WRONG))
    const statuses: number[] = []
    for (let sender = 0; sender < 200; sender++)
      void post(payload(RUN), WRONG).then(({ status }) => statuses.push(status))
    await vi.advanceTimersByTimeAsync(0)
    await vi.waitFor(() => expect(statuses).toHaveLength(200 - 32))
    await vi.advanceTimersByTimeAsync(4_000)
    expect(statuses).toHaveLength(200)
    expect(new Set(statuses)).toEqual(new Set([401]))
    expect(lines.length).toBeLessThan(5)
  })

  test.each<[string, string, string, Record<string, string>, number]>([
    ['at a path that is not received any more', 'POST', '/notifications/v2/ceph', {}, 404],
    ['there with the valid token', 'POST', '/a/b/c', { authorization: `Bearer ${TOKEN}` }, 404],
    ['by another method, of a proxy', 'PUT', '/ceph', {}, 405],
  ])('people are alerted of notifications %s', async (_, method, path, headers, status) => {
    const { app, noted, recorded, lines } = webhook()
    const reason = status === 404 ? 'an unknown path' : 'another method than POST'
    await repeatForAMinute(async () => {
      const answer = await app.request(path, { method, headers, body: payload(RUN) })
      expect(answer.status).toBe(status)
      return answer
    })
    await vi.advanceTimersByTimeAsync(120_000)
    expect(new Set(noted.map((refusals) => refusals.reason))).toEqual(
      new Set([`a notification by ${reason}`]),
    )
    expect(noted.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThanOrEqual(10)
    expect(recorded).toEqual([])
    expect(JSON.stringify(lines)).not.toContain(path)
  })

  test('a scan of addresses by others alerts nobody', async () => {
    const { post, app, noted } = webhook()
    await repeatForAMinute(() => post('hello', WRONG))
    for (const body of ['{}', '{"Records":[]}', 'x'.repeat(100_000), '<?php ?>'])
      await repeatForAMinute(async () => await app.request('/a/b/c', { method: 'POST', body }))
    await repeatForAMinute(async () => await app.request('/ceph', { method: 'PUT', body: '{}' }))
    await repeatForAMinute(async () => await app.request('/a/b/c', { method: 'POST' }))
    await vi.advanceTimersByTimeAsync(120_000)
    expect(noted).toEqual([])
  })
})

describe('everything else', () => {
  test.each(['/', '/minio', '/webhook/minio', `/ceph/${TOKEN}`, '/ceph/wrong'])(
    'HEAD and GET %s say only that the endpoint lives',
    async (path) => {
      const { app, steps } = webhook()
      for (const method of ['HEAD', 'GET']) {
        const response = await app.request(path, { method })
        expect([response.status, await response.text()]).toEqual([200, ''])
      }
      expect(steps).toEqual([])
    },
  )

  test.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s is answered 405', async (method) => {
    const response = await webhook().app.request(`/ceph/${TOKEN}`, { method })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, HEAD, POST')
  })

  test.each(['GET', 'POST', 'PUT'])('%s of an unknown path is answered 404', async (method) => {
    const headers = { authorization: `Bearer ${TOKEN}` }
    const response = await webhook().app.request(`/a/b/c`, { method, headers })
    expect([response.status, await response.json()]).toEqual([404, { error: 'not found' }])
  })
})

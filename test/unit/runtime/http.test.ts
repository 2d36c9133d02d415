import { type IncomingMessage, request } from 'node:http'
import { Hono } from 'hono'
import { afterEach, expect, test } from 'vitest'
import { queueApp } from '../../../shared/runtime/function-app.ts'
import type { HostOfRequest } from '../../../shared/runtime/handler.ts'
import { type HttpOptions, serveHttp } from '../../../shared/runtime/http.ts'
import { createRefusals } from '../../../shared/runtime/refusals.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'
import { BEYOND_THE_TEST_SECONDS, LONGEST_WAIT_SECONDS } from '../../support/waiting.ts'

const abort = { all: [] as AbortController[] }
afterEach(() => {
  for (const controller of abort.all.splice(0)) controller.abort()
})

async function serve(app: HttpOptions['app'], options: Partial<HttpOptions> = {}) {
  const controller = new AbortController()
  abort.all.push(controller)
  const { log, lines, text } = recordingLog()
  const host = await serveHttp({
    app,
    log,
    signal: controller.signal,
    hostname: '127.0.0.1',
    idleSeconds: 0.2,
    graceSeconds: BEYOND_THE_TEST_SECONDS,
    ...options,
  })
  return {
    host,
    lines,
    text,
    stop: () => controller.abort(),
    url: (path: string) => `http://127.0.0.1:${host.port}${path}`,
  }
}

const hello = () => new Hono().get('/', (c) => c.text('hello'))

test('serves the app, and its health beside it', async () => {
  const { url } = await serve(hello())
  expect(await (await fetch(url('/'))).text()).toBe('hello')
  for (const path of ['/healthz', '/_/health', '/_/ready'])
    expect(await (await fetch(url(path))).json()).toEqual({ status: 'ok' })
})

test.each(['TRACE', 'POST', 'DELETE'])('the health check does not answer %s', async (method) => {
  const { url } = await serve(hello())
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    request(url('/healthz'), { method }, resolve).once('error', reject).end(),
  )
  response.resume()
  expect([response.statusCode, response.headers.allow]).toEqual([405, 'GET, HEAD'])
})

test('idle connections are kept for longer than gateways keep theirs', async () => {
  const { url } = await serve(hello())
  expect((await fetch(url('/'))).headers.get('keep-alive')).toBe('timeout=600')
})

test('a body sent in chunks reaches the function', async () => {
  const bodies: string[] = []
  const app = queueApp(
    async (event) => {
      bodies.push(...event.Records.map((record) => record.body))
      return { batchItemFailures: [] }
    },
    {
      name: 'test',
      log: recordingLog().log,
      timeoutSeconds: LONGEST_WAIT_SECONDS,
      stop: new AbortController().signal,
    },
  )
  const { host } = await serve(app)
  const status = await new Promise((resolve, reject) => {
    const outgoing = request(
      { port: host.port, host: '127.0.0.1', method: 'POST', path: '/' },
      (response) => {
        response.resume()
        resolve(response.statusCode)
      },
    )
    outgoing.on('error', reject)
    for (const part of ['{"Records":[{"messageId":"1",', '"body":"in parts"}]}']) outgoing.write(part)
    outgoing.end()
  })
  expect(status).toBe(200)
  expect(bodies).toEqual(['in parts'])
})

test('after SIGTERM it still serves requests, reports the shutdown on /healthz, and ends when idle', async () => {
  const [arrived, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const app = hello().get('/slow', async (c) => {
    arrived.resolve()
    await released.promise
    return c.text('done')
  })
  const { host, stop, url } = await serve(app)
  const slow = fetch(url('/slow'))
  await arrived.promise
  stop()
  expect((await fetch(url('/healthz'))).status).toBe(503)
  const late = await fetch(url('/'))
  expect(await late.text()).toBe('hello')
  expect(late.headers.get('connection')).toBe('close')
  released.resolve()
  expect(await (await slow).text()).toBe('done')
  await host.closed
  await expect(fetch(url('/'))).rejects.toThrow()
})

test('a sender that repeats a refused request does not keep the process from ending', async () => {
  const refusals = createRefusals({ log: recordingLog().log })
  const app = new Hono<{ Bindings: HostOfRequest }>().post('/', async (c) => {
    await refusals.hold({ event: 'refused', source: '192.0.2.7', reason: 'no token' }, c.env)
    return c.text('no', 401)
  })
  const { host, stop, url, lines } = await serve(app)
  const over = { is: false }
  const sender = (async () => {
    while (!over.is) await fetch(url('/'), { method: 'POST' }).catch(() => null)
  })()
  for (let count = 0; count < 3; count++) await fetch(url('/'), { method: 'POST' })
  stop()
  await host.closed
  over.is = true
  await sender
  expect(lines.map(({ event }) => event)).not.toContain('http-requests-cut-off')
})

test('requests that never end are cut off when the grace period is over, and the log states how many', async () => {
  const arrived = Promise.withResolvers<void>()
  const app = new Hono().get('/', () => {
    arrived.resolve()
    return new Promise<Response>(() => {})
  })
  const { host, stop, url, lines } = await serve(app, { graceSeconds: 0.3 })
  const stuck = fetch(url('/')).catch((error: Error) => error.name)
  await arrived.promise
  stop()
  await host.closed
  expect(await stuck).toBe('TypeError')
  expect(lines.find((line) => line.event === 'http-requests-cut-off')).toMatchObject({ requests: 1 })
})

test('the app learns from where it is asked', async () => {
  const { url } = await serve({ fetch: (_, host) => Response.json({ clientAddress: host?.clientAddress }) })
  expect(await (await fetch(url('/'))).json()).toEqual({ clientAddress: '127.0.0.1' })
})

test('an answer that would last learns of the end at once, and holds up nothing', async () => {
  const app: HttpOptions['app'] = {
    async fetch(_, host) {
      const text = async function* () {
        yield 'begun, '
        await new Promise((resolve) => host?.ending?.addEventListener('abort', resolve))
        yield 'ended'
      }
      return new Response(ReadableStream.from(text()).pipeThrough(new TextEncoderStream()))
    },
  }
  const { host, stop, url, lines } = await serve(app)
  const answer = await fetch(url('/'))
  stop()
  expect(await answer.text()).toBe('begun, ended')
  // A host that waited for its grace period would outlast the test.
  await host.closed
  expect(lines.some((line) => line.event === 'http-requests-cut-off')).toBe(false)
})

test('a port that is taken is an error, not a crash later', async () => {
  const { host } = await serve(hello())
  await expect(serve(hello(), { port: host.port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
})

test('paths, which may hold secrets, are not logged', async () => {
  const { url, text } = await serve(hello())
  await fetch(url('/ceph/s3cret'))
  expect(text()).not.toContain('s3cret')
})

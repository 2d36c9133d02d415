/** Who asks is answered, also when the database or the store is silent. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApi } from '../../../../functions/catalog-api/app.ts'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import { createEmptyApi } from '../../../../functions/catalog-api/http/empty-api.ts'
import { rateLimit } from '../../../../functions/catalog-api/http/rate-limit.ts'
import { withRequestTimeout } from '../../../../functions/catalog-api/http/request-timeout.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { openDatabase } from '../../../../shared/database/connect.ts'
import type { HttpApp } from '../../../../shared/runtime/handler.ts'
import { serveHttp } from '../../../../shared/runtime/http.ts'
import { ANONYMOUS } from '../../../support/functions/catalog-api/rest-app.ts'
import { recordingLog } from '../../../support/runtime/recording-log.ts'
import { type SilentProxy, startSilentProxy } from '../../../support/silent-proxy.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { until } from '../../../support/waiting.ts'

const ANSWER_MS = 100

describe('a request', () => {
  let recorded: ReturnType<typeof recordingLog>
  let app: HttpApp
  let heard = (): boolean | undefined => false
  const waiting = { release: () => {}, begun: Promise.withResolvers<void>() }
  beforeEach(() => {
    // Time passes only where a test lets it: an answer is in time or too late, however slow the machine is.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    waiting.begun = Promise.withResolvers()
    recorded = recordingLog()
    const api = createEmptyApi(recorded.log)
    api.app.use(async (c, next) => {
      c.set('caller', ANONYMOUS)
      heard = () => c.env?.timedOut?.aborted
      await next()
    })
    api.app.use(rateLimit({ requestsPerMinute: 100, now: () => new Date(), addressOf: () => null }))
    const released = () =>
      new Promise<void>((resolve) => {
        waiting.release = resolve
        waiting.begun.resolve()
      })
    for (const path of ['/silent', '/readyz'])
      api.app.get(path, async (c) => {
        await released()
        return c.text('at last')
      })
    api.app.get('/fails-late', async () => {
      await released()
      throw new Error('too late')
    })
    api.app.get('/quick', (c) => c.text('quick'))
    api.app.get('/stream', () => {
      const lines = async function* () {
        for (const line of ['one\n', 'two\n', 'three\n']) {
          yield new TextEncoder().encode(line)
          await new Promise((resolve) => setTimeout(resolve, ANSWER_MS))
        }
      }
      return new Response(ReadableStream.from(lines()))
    })
    app = withRequestTimeout(api.app, {
      answerMs: ANSWER_MS,
      log: recorded.log,
      exempt: new Set(['/readyz']),
      headers: (_, next) => next(),
    })
  })
  afterEach(() => void vi.useRealTimers())
  const get = async (path: string) => await app.fetch(new Request(new URL(path, 'http://api')))
  const events = () => recorded.lines.map(({ event }) => event)

  it('that is not answered in time gets a 503 with a retry time, and is logged', async () => {
    const waited = get('/silent?token=secret')
    await vi.advanceTimersByTimeAsync(ANSWER_MS)
    const answer = await waited
    expect([answer.status, answer.headers.get('content-type')]).toEqual([503, 'application/problem+json'])
    expect(answer.headers.get('retry-after')).toBe('5')
    expect(await answer.json()).toMatchObject({
      status: 503,
      detail: 'the service did not answer in time; try again',
    })
    expect(recorded.lines).toMatchObject([
      { event: 'request-timed-out', path: '/silent', method: 'GET', ms: ANSWER_MS },
    ])
    expect(recorded.text()).not.toContain('secret')
  })

  it('that is not answered in time learns of it, and one that is does not', async () => {
    const waited = get('/silent')
    await waiting.begun.promise
    expect(heard()).toBe(false)
    await vi.advanceTimersByTimeAsync(ANSWER_MS)
    await waited
    expect(heard()).toBe(true)
    await get('/quick')
    await vi.advanceTimersByTimeAsync(ANSWER_MS * 2)
    expect(heard()).toBe(false)
  })

  it('that is answered in time is answered as ever', async () => {
    expect(await (await get('/quick')).text()).toBe('quick')
    await vi.advanceTimersByTimeAsync(ANSWER_MS * 1.5)
    expect(events()).toEqual([])
  })

  it('of the platform after our health has a time limit of its own', async () => {
    const answer = get('/readyz')
    await vi.advanceTimersByTimeAsync(ANSWER_MS * 2)
    waiting.release()
    expect(await (await answer).text()).toBe('at last')
  })

  it('whose answer has begun is not cut off', async () => {
    const text = (await get('/stream')).text()
    await vi.advanceTimersByTimeAsync(ANSWER_MS * 4)
    expect(await text).toBe('one\ntwo\nthree\n')
    expect(events()).toEqual([])
  })

  it.each(['/silent', '/fails-late'])(
    '%s that is answered too late changes nothing any more, and harms nobody',
    async (path) => {
      const end = new AbortController()
      const host = await serveHttp({
        app,
        log: recorded.log,
        signal: end.signal,
        hostname: '127.0.0.1',
        idleSeconds: 0,
      })
      const waited = fetch(`http://127.0.0.1:${host.port}${path}`)
      await waiting.begun.promise
      await vi.advanceTimersByTimeAsync(ANSWER_MS)
      const answer = await waited
      expect([answer.status, (await answer.json()) as object]).toMatchObject([503, { status: 503 }])
      await nextTurn()
      waiting.release()
      expect(await (await fetch(`http://127.0.0.1:${host.port}/quick`)).text()).toBe('quick')
      end.abort()
      await host.closed
      const expected = path === '/silent' ? ['request-timed-out'] : ['request-timed-out', 'request-failed']
      expect(events().filter((event) => event.startsWith('request-'))).toEqual(expected)
    },
  )

  it('whose answer comes in the same turn as the refusal is refused and logged once', async () => {
    const end = new AbortController()
    const host = await serveHttp({
      app,
      log: recorded.log,
      signal: end.signal,
      hostname: '127.0.0.1',
      idleSeconds: 0,
    })
    const waited = fetch(`http://127.0.0.1:${host.port}/silent`)
    await waiting.begun.promise
    vi.advanceTimersByTime(ANSWER_MS)
    waiting.release()
    const answer = await waited
    expect([answer.status, (await answer.json()) as object]).toMatchObject([503, { status: 503 }])
    expect(answer.headers.get('ratelimit-limit')).toBeNull()
    end.abort()
    await host.closed
    expect(events().filter((event) => event.startsWith('request-'))).toEqual(['request-timed-out'])
  })
})

describe('with a database that is silent', () => {
  let context: TestTapeContext
  let proxy: SilentProxy
  let secret: string
  let end: () => Promise<void>
  let hurried: HttpApp
  let unhurried: HttpApp
  beforeEach(async () => {
    context = await startTestTapeContext()
    const url = new URL(context.catalogue.url)
    proxy = await startSilentProxy(Number(url.port))
    url.port = String(proxy.port)
    const database = openDatabase(url.href, 2, { statementSeconds: 60, clientTimeoutMs: 5000 })
    secret = (await createToken(context.database, { name: 'daq', scopes: ['read:*'], days: 1 }, new Date()))
      .secret
    hurried = createApi({ ...context, database }, { answerMs: 500 }).http
    unhurried = createHandler({ ...context, database })
    expect((await ask(unhurried, '/api/v1/runs?limit=1')).status).toBe(200)
    end = async () => {
      await database.destroy()
      await proxy.close()
      await context.close()
    }
  })
  afterEach(() => end())
  const ask = async (
    app: HttpApp,
    path: string,
    headers: Readonly<Record<string, string>> = { authorization: `Bearer ${secret}` },
  ) => await app.fetch(new Request(new URL(path, 'http://api'), { headers }))

  it('every request is answered, with and without a credential, and served again afterwards', async () => {
    proxy.silence()
    const answers = await Promise.all([
      ask(hurried, '/api/v1/runs?limit=1'),
      ask(hurried, '/api/v1/me'),
      ask(hurried, '/healthz'),
      ask(hurried, '/readyz'),
      ask(hurried, '/readyz', {}),
      ask(hurried, '/readyz', { authorization: 'Bearer cyg_nobody' }),
    ])
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 200, 503, 503, 503])
    expect(await answers[4]?.json()).toMatchObject({ database: 'unavailable', store: 'ok' })
    expect(answers[0]?.headers.get('content-security-policy')).toContain("default-src 'none'")
    proxy.restore()
    await until(async () => (await ask(unhurried, '/api/v1/runs?limit=1')).status === 200)
  })
})

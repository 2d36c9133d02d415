/** How much goes over the wire for a first look, and that nothing is compressed that must not be. */
import { type IncomingMessage, request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SignedInCaller } from '../../../../functions/catalog-api/access/session.ts'
import { serveHttp } from '../../../../shared/runtime/http.ts'
import { addCopiesInAllStates, fillSite, makeRun, OPERATOR, siteApp } from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { BEYOND_THE_TEST_SECONDS } from '../../../support/waiting.ts'

/** The page, its styles and its scripts, for who has none of them yet. There are no fonts and no pictures. */
const MOST_BYTES = 150_000
const ADA: SignedInCaller = { ...OPERATOR, sessionId: 'session-1' }
const TOKEN = 'token-of-the-session-0123456789'

let context: TestTapeContext
const end = new AbortController()
const ports = { open: 0, signedIn: 0 }

beforeAll(async () => {
  context = await startTestTapeContext()
  await fillSite(context)
  await addCopiesInAllStates(context)
  for (let index = 0; index < 100; index++)
    await makeRun(context, {
      tag: 'LONG',
      runNumber: 1 + index,
      ago: 1e6,
      odb: { run_description: 'ö'.repeat(20_000) },
    })
  const serve = async (who: typeof OPERATOR, browser: Parameters<typeof siteApp>[2]) => {
    const { app } = siteApp(context, () => who, browser)
    return (
      await serveHttp({ app, log: context.log, signal: end.signal, hostname: '127.0.0.1', idleSeconds: 0.1 })
    ).port
  }
  ports.open = await serve(OPERATOR, { live: { lastsSeconds: BEYOND_THE_TEST_SECONDS, pollMs: 50 } })
  const csrf = {
    tokenFor: () => TOKEN,
    protect: async (_: unknown, next: () => Promise<void>) => await next(),
  }
  ports.signedIn = await serve(ADA, { browser: { csrf } })
})
afterAll(async () => {
  end.abort()
  await context.close()
})

interface Sent {
  readonly encoding: string | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Of the body as it was sent. */
  readonly bytes: number
  readonly text: string
}

/** fetch would take apart what was compressed. */
async function get(port: number, path: string, encoding = 'gzip, deflate, br'): Promise<Sent> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request(
      { host: '127.0.0.1', port, path, headers: { 'accept-encoding': encoding, accept: 'text/html' } },
      resolve,
    )
      .on('error', reject)
      .end()
  })
  const body = await buffer(answer)
  const { 'content-encoding': sent } = answer.headers
  return {
    encoding: sent,
    headers: answer.headers,
    bytes: body.length,
    text: String(sent === 'gzip' ? gunzipSync(body) : body),
  }
}

async function firstLook(port: number, path: string, encoding?: string) {
  const page = await get(port, path, encoding)
  const loaded = [...page.text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(
    ([, address]) => address ?? '',
  )
  const assets = await Promise.all(loaded.map((address) => get(port, address, encoding)))
  return {
    page: page.bytes,
    assets: assets.reduce((sum, { bytes }) => sum + bytes, 0),
    loaded: loaded.length,
  }
}

const PAGES = ['/', '/runs', '/runs?tag=LONG', '/runs/LNGS/60019', '/replicas', '/queues', '/python'] as const

describe('a first visit', () => {
  test.each(PAGES)('at %s stays below 150 kB, compressed or not, signed in or not', async (path) => {
    const looks = {
      open: await firstLook(ports.open, path),
      signedIn: await firstLook(ports.signedIn, path),
      uncompressed: await firstLook(ports.signedIn, path, 'identity'),
    }
    for (const { page, assets, loaded } of Object.values(looks)) {
      expect(loaded).toBeGreaterThan(1)
      expect(page + assets).toBeLessThan(MOST_BYTES)
    }
  })
})

describe('compression', () => {
  test('is sent only on request, with the header for caches, and does not change the text', async () => {
    const [packed, plain] = [await get(ports.open, '/python'), await get(ports.open, '/python', 'identity')]
    expect(packed).toMatchObject({ encoding: 'gzip', text: plain.text })
    expect(plain.encoding).toBeUndefined()
    expect(packed.bytes).toBeLessThan(plain.bytes / 2)
    const style = /href="(\/assets\/[^"]+style\.css)"/.exec(plain.text)?.[1] ?? ''
    const { encoding, headers } = await get(ports.open, style)
    expect(encoding).toBe('gzip')
    expect(headers.vary).toContain('Accept-Encoding')
    expect(headers['cache-control']).toContain('immutable')
  })

  test('never holds back events', async () => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { 'accept-encoding': 'gzip' }
      request({ host: '127.0.0.1', port: ports.open, path: '/api/v1/events', headers }, resolve)
        .on('error', reject)
        .end()
    })
    expect(answer.headers['content-encoding']).toBeUndefined()
    expect(answer.headers['cache-control']).toBe('no-store, no-transform')
    // What holds back the first of them holds back all, for longer than the test may take.
    for await (const chunk of answer) {
      expect(String(chunk)).toContain('event: ready')
      break
    }
    answer.destroy()
  })
})

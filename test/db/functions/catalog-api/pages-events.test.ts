/**
 * Events: what is sent to whom, when a stream ends, and that many watched pages cost the catalogue no more
 * than one.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { createChangeFeed } from '../../../../functions/catalog-api/pages/change-feed.ts'
import type { Caller } from '../../../../shared/access/caller.ts'
import { readChanges } from '../../../../shared/queries/changes.ts'
import { serveHttp } from '../../../../shared/runtime/http.ts'
import { recordingLog } from '../../../support/runtime/recording-log.ts'
import { caller, makeRun, OPERATOR, siteApp } from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { BEYOND_THE_TEST_SECONDS, until } from '../../../support/waiting.ts'

const POLL_MS = 50
const PATH = '/api/v1/events'

let context: TestTapeContext
let who: Caller
let runNumber = 1000
/** Selects that were sent to the catalogue. */
let queries = 0
let isDown = false

beforeAll(async () => {
  const opened = await startTestTapeContext()
  const database = opened.database.withPlugin({
    transformQuery({ node }) {
      queries++
      if (isDown) throw new Error('the database is down')
      return node
    },
    transformResult: async ({ result }) => result,
  })
  context = { ...opened, database }
  for (let index = 0; index < 3; index++) await arrive('LNGS')
})
afterAll(() => context.close())
beforeEach(() => {
  who = OPERATOR
})
afterEach(() => void vi.useRealTimers())

async function arrive(tag: string): Promise<number> {
  runNumber++
  await makeRun(context, { tag, runNumber, ago: 10 })
  return runNumber
}

const site = (lastsSeconds = BEYOND_THE_TEST_SECONDS) =>
  siteApp(context, () => who, { live: { lastsSeconds, pollMs: POLL_MS } }).app
const stays = { ending: new AbortController().signal }

/** Until the text is there, or the end. */
async function read(answer: Response, until: string): Promise<string> {
  let text = ''
  for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    if (text.includes(until)) break
  }
  return text
}

const lastId = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].at(-1)?.[1] ?? ''
const sent = (text: string) =>
  [...text.matchAll(/"tag":"(\w+)","runNumber":(\d+)/g)].map(([, tag, run]) => `${tag} ${run}`)

describe('a stream', () => {
  test('reports a catalogued run to readers who may see it, and a reader continues from its last position', async () => {
    const app = site()
    who = caller('read:LNGS')
    const answer = await app.request(PATH, {}, stays)
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    const hidden = await arrive('LNF')
    const seen = await arrive('LNGS')
    const text = await read(answer, `"runNumber":${seen}`)
    expect(text).toMatch(/^retry: 2000\nid: \d+\nevent: ready\n/)
    expect(sent(text)).not.toContain(`LNF ${hidden}`)
    const next = await arrive('LNGS')
    const resumed = await read(
      await app.request(PATH, { headers: { 'last-event-id': lastId(text) } }, stays),
      `"runNumber":${next}`,
    )
    expect(resumed).toContain('"what":"')
    expect(new Set(sent(resumed))).toEqual(new Set([`LNGS ${next}`]))
  })

  test('ends by itself, so that no host has to cut it, and has an id to continue from even without an event', async () => {
    // The end of a stream is the only timer here that is not the real one.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const app = site(30)
    const beside = await app.request(PATH, {}, stays)
    who = caller('read:LNF')
    const whole = (await app.request(PATH, {}, stays)).text()
    const seen = await arrive('LNGS')
    await read(beside, `"runNumber":${seen}`)
    vi.advanceTimersByTime(30_000)
    const text = await whole
    expect(sent(text)).toEqual([])
    const [first] = text.match(/\d+(?=\nevent: ready)/) ?? []
    expect(Number(lastId(text))).toBeGreaterThan(Number(first))
  })

  test('on which nothing else comes gives signs of life that a page hears, and has an id to go on from', async () => {
    const live = { lastsSeconds: BEYOND_THE_TEST_SECONDS, pollMs: POLL_MS, aliveMs: 2 * POLL_MS }
    const answer = await siteApp(context, () => who, { live }).app.request(PATH, {}, stays)
    expect(await read(answer, 'alive')).toMatch(/\n\nid: \d+\nevent: alive\n/)
  })

  test('ends at once when its host goes away, which then need not wait for it', async () => {
    const end = new AbortController()
    const times = { idleSeconds: 0.1, graceSeconds: BEYOND_THE_TEST_SECONDS }
    const host = await serveHttp({
      app: site(),
      log: context.log,
      signal: end.signal,
      hostname: '127.0.0.1',
      ...times,
    })
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => fetch(`http://127.0.0.1:${host.port}${PATH}`)),
    )
    const texts = Promise.all(answers.map((answer) => answer.text()))
    end.abort()
    for (const text of await texts) expect(text).toMatch(/id: \d+\n\n$/)
    // Neither the streams nor the grace period of the host end within the test.
    await host.closed
  })

  test('ends when the catalogue does not answer, is refused until it does, and begins again', async () => {
    const app = site()
    const answer = await app.request(PATH, {}, stays)
    isDown = true
    await read(answer, 'never')
    await new Promise((resolve) => setTimeout(resolve, 3 * POLL_MS))
    expect((await app.request(PATH, {}, stays)).status).toBe(503)
    isDown = false
    expect(await read(await app.request(PATH, {}, stays), 'ready')).toContain('event: ready')
  })
})

describe('on a host that hands on answers only as a whole, or goes away', () => {
  const leaves = { ending: AbortSignal.abort() }

  test.each([
    ['as a whole', undefined, 5000],
    ['goes away', leaves, 2000],
  ] as const)(
    '(%s) an answer ends at once with what happened since the last one',
    async (_, host, retryMs) => {
      const app = site()
      who = caller('read:LNGS')
      const first = await (await app.request(PATH, {}, host)).text()
      expect(first).toContain(`retry: ${retryMs}\n`)
      expect(sent(first)).toEqual([])
      await arrive('LNF')
      const seen = await arrive('LNGS')
      // What was asked a moment ago is not asked again.
      await new Promise((resolve) => setTimeout(resolve, 3 * POLL_MS))
      const second = await (
        await app.request(PATH, { headers: { 'last-event-id': lastId(first) } }, host)
      ).text()
      expect(new Set(sent(second))).toEqual(new Set([`LNGS ${seen}`]))
      const third = await (
        await app.request(PATH, { headers: { 'last-event-id': lastId(second) } }, host)
      ).text()
      expect(sent(third)).toEqual([])
    },
  )

  test('another process continues where the first one ended, and reports missed changes', async () => {
    const id = lastId(await (await site().request(PATH)).text())
    const seen = await arrive('LNGS')
    const headers = { 'last-event-id': id }
    expect(sent(await (await site().request(PATH, { headers })).text())).toContain(`LNGS ${seen}`)
    for (let index = 0; index < 110; index++) {
      const [run] = await context.database.selectFrom('runs').select('id').limit(1).execute()
      const lines = Array.from({ length: 4 }, () => ({
        runId: run?.id ?? 0,
        at: new Date(),
        what: 'noted',
        detail: '',
      }))
      await context.database.insertInto('runHistory').values(lines).execute()
    }
    const late = await (await site().request(PATH, { headers })).text()
    expect(late).toContain('data: {"missed":true}')
    expect(sent(late)).toEqual([])
  })

  test.each(['-1', 'abc', '99999999999999', '1e3'])(
    'an id that is none of ours (%s) begins anew',
    async (id) => {
      const text = await (await site().request(PATH, { headers: { 'last-event-id': id } })).text()
      expect(text).toContain('data: {"missed":false}')
      expect(sent(text)).toEqual([])
    },
  )
})

describe('the catalogue', () => {
  test('is asked once an interval, however many pages are watched, and not at all when none is', async () => {
    const app = site()
    const end = new AbortController()
    const host = { ending: end.signal }
    const answers = await Promise.all(Array.from({ length: 200 }, () => app.request(PATH, {}, host)))
    const nextRun = `"runNumber":${runNumber + 1}`
    const texts = Promise.all(answers.map((answer) => read(answer, nextRun)))
    const [before, began] = [queries, performance.now()]
    await until(() => queries >= before + 10)
    expect(queries - before).toBeLessThanOrEqual((performance.now() - began) / POLL_MS + 3)
    const seen = await arrive('LNF')
    for (const text of await texts) expect(sent(text)).toContain(`LNF ${seen}`)
    end.abort()
    // Nobody reads any more: from some moment on nothing is asked.
    for (let last = -1; last !== queries; ) {
      last = queries
      await new Promise((resolve) => setTimeout(resolve, 6 * POLL_MS))
    }
  })

  test('is polled once at a time, and positions stay valid while many changes are reported and dropped', async () => {
    const feed = createChangeFeed({ database: context.database, log: recordingLog().log }, 1)
    const watcher = await feed.watch('*', null)
    const seen: string[] = []
    const [run] = await context.database.selectFrom('runs').select('id').limit(1).execute()
    for (let round = 0; round < 6; round++) {
      const lines = Array.from({ length: 300 }, (_, index) => ({
        runId: run?.id ?? 0,
        at: new Date(),
        what: `${round}-${index}`,
        detail: '',
      }))
      await context.database.insertInto('runHistory').values(lines).execute()
      await Promise.all([feed.next(), feed.next()])
      seen.push(...watcher.take().map(({ what }) => what))
    }
    for (let more = 0; more < 3; more++) {
      await feed.next()
      seen.push(...watcher.take().map(({ what }) => what))
    }
    expect(seen).toEqual(
      Array.from({ length: 1800 }, (_, index) => `${Math.floor(index / 300)}-${index % 300}`),
    )
  })

  test('a line that is committed after a later one is reported as well', async () => {
    const { database } = context
    const [run] = await database.selectFrom('runs').select('id').limit(1).execute()
    const line = { runId: run?.id ?? 0, at: new Date(), detail: '' }
    const changes = await readChanges(database, '*', null)
    await database
      .insertInto('runHistory')
      .values({ ...line, id: changes.lastId() + 5, what: 'later' })
      .execute()
    expect((await changes.next()).map(({ what }) => what)).toEqual(['later'])
    await database
      .insertInto('runHistory')
      .values({ ...line, id: changes.lastId() - 2, what: 'earlier' })
      .execute()
    expect((await changes.next()).map(({ what }) => what)).toEqual(['earlier'])
    expect(await changes.next()).toEqual([])
  })
})

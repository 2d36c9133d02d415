/**
 * The functions as in containers: one file alone in a folder, called over HTTP, ended by SIGTERM, with real
 * services.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { runFileBytes } from '../../cli/simulate/write.ts'
import { childEnvironment } from '../../infra/local/environment.ts'
import { freePort } from '../../infra/local/ports.ts'
import { temporaryFolder } from '../../infra/local/testing.ts'
import { buildContainers, type ContainerBundle } from '../../infra/packaging/containers.ts'
import { encodeNotification } from '../../shared/messages/runs.ts'
import { findRuns } from '../../shared/queries/runs.ts'
import { startTestContext, type TestContext } from '../support/context.ts'
import { until } from '../support/waiting.ts'

let context: TestContext
let bundles: readonly ContainerBundle[]
const running: ChildProcess[] = []
beforeAll(async () => {
  context = await startTestContext()
  bundles = await buildContainers(temporaryFolder())
})
afterEach(() => {
  for (const child of running.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
})
afterAll(() => context.close())

async function start(name: string, settings: Readonly<Record<string, string>> = {}) {
  const path = bundles.find((bundle) => bundle.function === name)?.path ?? ''
  const port = await freePort()
  const env = childEnvironment({
    CYGNET_DATABASE_URL: context.catalogue.url,
    ...context.store.environment,
    CYGNET_LISTEN_PORT: String(port),
    CYGNET_LISTEN_ADDRESS: '127.0.0.1',
    ...settings,
  })
  const child = spawn(process.execPath, [path], {
    cwd: dirname(path),
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  const output = Promise.all([text(child.stdout), text(child.stderr)])
  const url = `http://127.0.0.1:${port}`
  const isHealthy = async () => (await fetch(`${url}/healthz`).catch(() => null))?.status === 200
  await until(async () => child.exitCode !== null || (await isHealthy()))
  return {
    url,
    post: (body: string, headers: Readonly<Record<string, string>> = {}) =>
      fetch(`${url}/`, { method: 'POST', body, headers }),
    /** Log lines and exit code. */
    async end() {
      child.kill('SIGTERM')
      const [[out, problems]] = await Promise.all([
        output,
        child.exitCode === null ? once(child, 'exit') : null,
      ])
      return {
        code: child.exitCode,
        problems,
        lines: out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, unknown>),
      }
    },
  }
}

const small = (runNumber: number) => runFileBytes({ runNumber, camera: 32, events: 12, digitizers: false })

test('catalog-api answers the platform, people and programs, and ends in order', async () => {
  const { url, end } = await start('catalog-api', { CYGNET_ANONYMOUS_SCOPES: 'read:LNGS' })
  for (const path of ['/_/health', '/_/ready', '/readyz'])
    expect((await fetch(url + path)).status, path).toBe(200)
  const page = await fetch(`${url}/runs`)
  expect(page.headers.get('content-type')).toMatch('text/html')
  expect(await page.text()).toMatch('<html')
  const script = /src="([^"]+[.]js[^"]*)"/.exec(await (await fetch(`${url}/runs`)).text())?.[1] ?? ''
  expect((await fetch(new URL(script, url))).status, script).toBe(200)
  expect(await (await fetch(`${url}/api/v1/runs`)).json()).toMatchObject({ runs: [] })
  const { code, problems, lines } = await end()
  expect({ code, problems }).toEqual({ code: 0, problems: '' })
  expect(lines.map(({ event }) => event)).toEqual(expect.arrayContaining(['http-started', 'http-stopped']))
})

test('a webhook, a queue function (with messages and CloudEvents) and a schedule function do their work over HTTP', async () => {
  const arrivals = [
    await context.put('LNGS/run00001.mid.gz', await small(1)),
    await context.put('LNGS/run00002.mid.gz', await small(2)),
  ]
  const receive = await start('receive-notification', { CYGNET_NOTIFICATION_TOKEN: 't' })
  const notified = await fetch(`${receive.url}/minio`, {
    method: 'POST',
    headers: { authorization: 'Bearer t' },
    body: encodeNotification(arrivals),
  })
  expect(notified.status).toBe(200)
  expect((await receive.end()).code).toBe(0)
  const [first, second] = await context.drain('runs')
  const extract = await start('extract-metadata')
  const answer = await extract.post(
    JSON.stringify({ Records: [{ messageId: '1', body: JSON.stringify(first) }] }),
  )
  expect(await answer.json()).toEqual({ batchItemFailures: [] })
  const event = await extract.post(JSON.stringify(second), {
    'ce-id': '2',
    'ce-specversion': '1.0',
    'content-type': 'application/json',
  })
  expect(event.status).toBe(204)
  expect((await extract.post('{"no": "message"}')).status).toBe(400)
  expect((await extract.end()).code).toBe(0)
  const reconcile = await start('reconcile')
  expect((await reconcile.post('')).status).toBe(204)
  expect((await reconcile.end()).code).toBe(0)
  const place = await context.database
    .selectFrom('reconciliations')
    .selectAll()
    .where('bucket', '=', context.bucket)
    .executeTakeFirst()
  expect(place).toMatchObject({ listed: 2, finishedAt: expect.any(Date) })
  const found = await Promise.all([1, 2].map((runNumber) => findRuns(context.database, { runNumber })))
  expect(found.flat()).toMatchObject([
    { runNumber: 1, complete: true },
    { runNumber: 2, complete: true },
  ])
})

test.each(['catalog-api', 'extract-metadata', 'reconcile'])(
  '%s can be stopped before it has loaded anything',
  async (name) => {
    const path = bundles.find((bundle) => bundle.function === name)?.path ?? ''
    // Sends the signal when the first handler for it is there; the database client loads tls.
    const hook = join(temporaryFolder(), 'stop-early.cjs')
    await writeFile(
      hook,
      `process.on('newListener', (event) => {
        if (event !== 'SIGTERM') return
        console.log(process.moduleLoadList.includes('NativeModule tls') ? 'too late' : 'early')
        process.kill(process.pid, 'SIGTERM')
      })`,
    )
    const child = spawn(process.execPath, ['--require', hook, path], {
      env: childEnvironment({ CYGNET_DATABASE_URL: 'mysql://user:password@127.0.0.1:1/cygnet' }),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.push(child)
    const [out] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
    expect({ code: child.exitCode, signal: child.signalCode, out }).toEqual({
      code: 0,
      signal: null,
      out: expect.stringMatching(/^early\n/),
    })
  },
)

test('without its settings, or with its port in use, a function ends with a line that states the reason', async () => {
  const { end } = await start('receive-notification', { CYGNET_DATABASE_URL: 'postgres://secret@host/x' })
  const { code, lines } = await end()
  expect(code).toBe(1)
  expect(lines).toMatchObject([
    {
      level: 'fatal',
      event: 'function-cannot-run',
      error: { message: expect.stringMatching('CYGNET_DATABASE_URL') },
    },
  ])
  expect(JSON.stringify(lines)).not.toMatch('secret@')
  const { url, end: endFirst } = await start('catalog-api')
  const second = await start('catalog-api', { CYGNET_LISTEN_PORT: new URL(url).port })
  expect(await second.end()).toMatchObject({
    code: 1,
    lines: [{ event: 'function-cannot-run', error: { message: expect.stringMatching('EADDRINUSE') } }],
  })
  expect((await endFirst()).code).toBe(0)
})

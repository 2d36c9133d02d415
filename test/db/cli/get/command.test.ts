/** `cygnet get` through the API, as for analysts. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test, vi } from 'vitest'
import * as get from '../../../../cli/commands/get.ts'
import { registerLinks } from '../../../../functions/catalog-api/api/links.ts'
import { registerRuns } from '../../../../functions/catalog-api/api/runs.ts'
import { startTestStore, temporaryFolder } from '../../../../infra/local/testing.ts'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { cygnet as run, serve } from '../../../support/cli/in-process.ts'
import { type SlowProxy, startSlowProxy } from '../../../support/cli/push/slow-proxy.ts'
import { signal } from '../../../support/context.ts'
import { partOfApi } from '../../../support/part-of-api.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { deleteFromStore, makeRun, onlyOnTape, putOnTape, replicaOf } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { LONGEST_WAIT_MS, until } from '../../../support/waiting.ts'

let context: TestTapeContext
let tape: RecallTape
/** The proxy through which the links of the API lead. */
let proxy: SlowProxy
/** Paths that the API has answered. */
const answered: string[] = []
let api: Awaited<ReturnType<typeof serve>>
let folder: string
let number = 700
beforeAll(async () => {
  proxy = await startSlowProxy((await startTestStore()).connection.s3.endpoint)
  context = await startTestTapeContext({ environment: { CYGNET_S3_PUBLIC_ENDPOINT: proxy.endpoint } })
  tape = recallTape()
  const part = partOfApi(
    (routes) => {
      registerRuns(routes, context)
      registerLinks(routes, context)
    },
    ['read:LNGS', 'link:LNGS', 'recall:LNGS', 'read:FLASH/2024', 'link:FLASH/2024'],
  )
  api = await serve({
    async fetch(request) {
      const answer = await part.app.fetch(request)
      answered.push(new URL(request.url).pathname)
      return answer
    },
  })
})
afterAll(async () => {
  await api.close()
  await proxy.close()
  await context.close()
})
beforeEach(() => {
  number += 10
  folder = temporaryFolder()
  for (const name of ['CYGNET_FOLDER', 'HOME', 'XDG_CONFIG_HOME']) vi.stubEnv(name, temporaryFolder())
})
afterEach(() => {
  vi.unstubAllEnvs()
})

const viaApi = { CYGNET_API_URL: '' }

const cygnet = (environment: Readonly<Record<string, string>>, ...args: readonly string[]) =>
  run(
    [get],
    environment === viaApi ? { CYGNET_API_URL: api.url } : environment,
    'get',
    '--out',
    folder,
    ...args,
  )
const files = () => readdirSync(folder).filter((name) => name !== 'owner.json')

describe('through the API', () => {
  it('cygnet get fetches a run and prints its path', async () => {
    const made = await makeRun(context, number, 40_000)
    const { code, stdout, stderr } = await cygnet(viaApi, String(number))
    const path = join(folder, made.key.slice(5))
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${path}\n` })
    expect(stderr).toContain(`md5 ${made.md5}`)
    expect(readFileSync(path).equals(Buffer.from(made.bytes))).toBe(true)
    expect(await cygnet(viaApi, String(number))).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('already there'),
    })
  })

  it('cygnet get --range fetches all runs of the catalogue in the range, and does not wait for missing numbers', async () => {
    for (const more of [0, 2, 5]) await makeRun(context, number + more, 100)
    await makeRun(context, number + 6, 100)
    const { code, stdout, stderr } = await cygnet(viaApi, '--range', `${number}..${number + 5}`, '--json')
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(code).toBe(0)
    expect(rows.map(({ runNumber, state }) => [runNumber, state])).toEqual(
      [0, 2, 5].map((more) => [number + more, 'fetched']),
    )
    expect(files()).toHaveLength(3)
    expect(stderr).toContain(
      `3 numbers of it are not in the catalogue: ${number + 1}, ${number + 3}..${number + 4}\n`,
    )
  })

  it('a range without missing numbers has no message about them', async () => {
    for (const more of [0, 1]) await makeRun(context, number + more, 100)
    const { code, stderr } = await cygnet(viaApi, '--range', `${number}..${number + 1}`)
    expect(code).toBe(0)
    expect(stderr).toContain('2 runs of LNGS in this range')
    expect(stderr).not.toContain('not in the catalogue')
  })

  it('a number of two tags needs --tag', async () => {
    await makeRun(context, number, 100)
    await makeRun(context, number, 200, 'FLASH/2024')
    expect((await cygnet(viaApi, String(number))).error).toContain(
      `there is a run ${number} of FLASH/2024 and of LNGS: give --tag`,
    )
    expect(files()).toEqual([])
    expect((await cygnet(viaApi, String(number), '--tag', 'FLASH/2024')).code).toBe(0)
    expect(readFileSync(join(folder, files()[0] ?? ''))).toHaveLength(200)
    // A file with the same name and other contents is never overwritten.
    expect(await cygnet(viaApi, String(number), '--tag', 'LNGS')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('other contents'),
    })
  })

  it('a run that is only on tape ends with 1 and states how to recall it; a recall in progress ends with 3', async () => {
    await onlyOnTape({ ...context, tape }, tape, number)
    expect(await cygnet(viaApi, String(number))).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/only on tape.*--recall brings it back/),
    })
    await requestRecall(
      context,
      { runNumber: number, tag: 'LNGS' },
      { days: 7, requestedBy: 'test' },
      new Date(),
      signal,
    )
    expect(await cygnet(viaApi, String(number))).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('recalling'),
    })
  })

  it('a run that is not in the catalogue is refused with a sentence', async () => {
    expect((await cygnet(viaApi, '4000000')).error).toBe('run 4000000 is not in the catalogue')
    expect((await cygnet(viaApi, '--range', '4000000..4000009', '--tag', 'LNGS')).error).toBe(
      'the catalogue has no runs from 4000000 to 4000009 of LNGS',
    )
  })
})

test('get --reco reports that there are no reconstructed files yet', async () => {
  expect((await cygnet(viaApi, '1', '--reco')).error).toContain('there are no reconstructed files yet')
})

test.each([
  [],
  ['1', '--range', '1..2'],
  ['--range', '5..1'],
  ['--range', '5'],
  ['-5'],
  ['1', '--concurrency', '0'],
  ['1', '--tag', '../x'],
])('the command line %s %s %s is refused before any request', async (...args) => {
  expect((await cygnet(viaApi, ...args.filter((arg) => arg !== undefined))).error).toMatch(
    /error|expected|It is|smaller/,
  )
})

test('an address that is not an API of the catalogue is reported', async () => {
  const other = await serve({ fetch: () => new Response('<html>sign in to the wireless network</html>') })
  const { error } = await cygnet({ CYGNET_API_URL: other.url }, '5')
  await other.close()
  expect(error).toBe('the answer is not from the API of the catalogue')
})

test('an interrupted command resumes with the pieces that it has', async () => {
  const made = await makeRun(context, number, 100)
  // As after a kill before the first piece.
  writeFileSync(join(folder, `${made.key.slice(5)}.part`), 'x')
  expect((await cygnet(viaApi, String(number))).code).toBe(0)
  expect(files()).toEqual([made.key.slice(5)])
})

test('a killed process leaves the received pieces: the next one fetches the rest, and the bytes are correct', async () => {
  const made = await makeRun(context, number, 60_000_000)
  const name = made.key.slice(5)
  const main = fileURLToPath(new URL('../../../../cli/main.ts', import.meta.url))
  const environment = {
    PATH: '/usr/bin:/bin',
    HOME: folder,
    CYGNET_FOLDER: '/nonexistent',
    CYGNET_API_URL: api.url,
  }
  // More than a piece and less than all, so that the command cannot end before it is killed.
  proxy.letThrough(20_000_000)
  const args = [main, 'get', String(number), '--out', folder, '--concurrency', '1']
  const child = spawn(process.execPath, args, { env: environment, stdio: 'ignore' })
  const ended = once(child, 'exit')
  await until(() => child.exitCode !== null || existsSync(join(folder, `${name}.part.json`)))
  child.kill('SIGKILL')
  expect(await ended).toEqual([null, 'SIGKILL'])
  proxy.letThrough(Number.POSITIVE_INFINITY)
  expect(existsSync(join(folder, name))).toBe(false)
  const { code, stdout } = await cygnet(viaApi, String(number), '--json')
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ state: 'fetched', md5: made.md5 })
  expect(JSON.parse(stdout).receivedBytes).toBeLessThan(60_000_000)
  expect(readFileSync(join(folder, name)).equals(Buffer.from(made.bytes))).toBe(true)
  expect(files()).toEqual([name])
})

test('a run that is only on tape is requested, waited for and fetched', async () => {
  const there = { ...context, tape }
  const made = await onlyOnTape(there, tape, number)
  const isThere = async () => {
    await advanceRecalls(there, signal, there.log)
    return (await replicaOf(there, made, 'recall'))?.state === 'present'
  }
  // After the command has received the answer that it has to wait.
  const isAsked = () => answered.some((path) => path.endsWith(`/${number}/links`))
  const bringing = vi.waitUntil(async () => isAsked() && (await isThere()), {
    timeout: LONGEST_WAIT_MS,
    interval: 50,
  })
  const got = await cygnet(viaApi, String(number), '--recall', '--wait')
  await bringing
  expect(got).toMatchObject({
    code: 0,
    stdout: `${join(folder, made.key.slice(5))}\n`,
    stderr: expect.stringContaining('waiting'),
  })
})

test('get --recall reports a missing right to recall', async () => {
  const there = { ...context, tape }
  const made = await makeRun(there, number, 100, 'FLASH/2024')
  await putOnTape(there, tape, made)
  await deleteFromStore(there, made)
  expect(await cygnet(viaApi, String(number), '--recall')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('may not recall runs of FLASH/2024'),
  })
})

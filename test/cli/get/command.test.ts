/** `cygnet get` as analysts use it: through the API, or with the credentials of the catalogue. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import { Command } from 'commander'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test, vi } from 'vitest'
import * as get from '../../../cli/commands/get.ts'
import { registerLinks } from '../../../functions/catalog-api/routes/links.ts'
import { registerRuns } from '../../../functions/catalog-api/routes/runs.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { requestRecall } from '../../../shared/replicas/recall/request.ts'
import { signal } from '../../support/context.ts'
import { partOfApi } from '../../support/part-of-api.ts'
import { type RecallTape, recallTape } from '../../support/recall-tape.ts'
import { makeRun, onlyOnTape } from '../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'

let context: TestTapeContext
let tape: RecallTape
let server: ReturnType<typeof createAdaptorServer>
let base: string
let folder: string
let number = 700
beforeAll(async () => {
  context = await startTestTapeContext()
  tape = recallTape()
  const api = partOfApi(
    (part) => {
      registerRuns(part, context)
      registerLinks(part, context)
    },
    ['read:LNGS', 'link:LNGS', 'read:FLASH/2024', 'link:FLASH/2024'],
  )
  server = createAdaptorServer({ fetch: api.app.fetch })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  await context.close()
})
beforeEach(() => {
  number += 10
  folder = temporaryFolder()
  for (const name of ['CYGNET_FOLDER', 'HOME', 'XDG_CONFIG_HOME']) vi.stubEnv(name, temporaryFolder())
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  process.exitCode = undefined
})

const viaApi = { CYGNET_API_URL: '' }
const viaCatalogue = () => ({ ...context.store.environment, CYGNET_DATABASE_URL: context.catalogue.url })

async function cygnet(environment: Readonly<Record<string, string>>, ...args: readonly string[]) {
  for (const [name, value] of Object.entries(environment === viaApi ? { CYGNET_API_URL: base } : environment)) vi.stubEnv(name, value)
  const written = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      written[stream] += String(text)
      return true
    })
  const program = new Command('cygnet').exitOverride()
  get.register(program)
  for (const command of program.commands) command.exitOverride()
  try {
    await program.parseAsync(['get', '--out', folder, ...args], { from: 'user' })
    return { ...written, code: process.exitCode ?? 0, error: null }
  } catch (error) {
    return { ...written, code: 1, error: error instanceof Error ? error.message : String(error) }
  } finally {
    vi.restoreAllMocks()
  }
}
const files = () => readdirSync(folder).filter((name) => name !== 'owner.json')

describe.each([
  ['through the API', () => viaApi],
  ['with the credentials of the catalogue', viaCatalogue],
] as const)('%s', (_, environment) => {
  it('a run comes, and its path is printed', async () => {
    const run = await makeRun(context, number, 40_000)
    const { code, stdout, stderr } = await cygnet(environment(), String(number))
    const path = join(folder, run.key.slice(5))
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${path}\n` })
    expect(stderr).toContain(`md5 ${run.md5}`)
    expect(readFileSync(path).equals(Buffer.from(run.bytes))).toBe(true)
    expect(await cygnet(environment(), String(number))).toMatchObject({ code: 0, stderr: expect.stringContaining('already there') })
  })

  it('all runs of a range come, and those the catalogue does not have are not waited for', async () => {
    for (const more of [0, 2, 5]) await makeRun(context, number + more, 100)
    await makeRun(context, number + 6, 100)
    const { code, stdout } = await cygnet(environment(), '--range', `${number}..${number + 5}`, '--json')
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(code).toBe(0)
    expect(rows.map(({ runNumber, state }) => [runNumber, state])).toEqual([0, 2, 5].map((more) => [number + more, 'fetched']))
    expect(files()).toHaveLength(3)
  })

  it('a number that two tags have must be said of which', async () => {
    await makeRun(context, number, 100)
    await makeRun(context, number, 200, 'FLASH/2024')
    expect((await cygnet(environment(), String(number))).error).toContain(`there is a run ${number} of FLASH/2024 and of LNGS: say --tag`)
    expect(files()).toEqual([])
    expect((await cygnet(environment(), String(number), '--tag', 'FLASH/2024')).code).toBe(0)
    expect(readFileSync(join(folder, files()[0] ?? ''))).toHaveLength(200)
    // The same name with other contents is never written over.
    expect(await cygnet(environment(), String(number), '--tag', 'LNGS')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('other contents'),
    })
  })

  it('a run that is only on tape ends with 1 and says how it can come back; one that is on its way with 3', async () => {
    await onlyOnTape({ ...context, tape }, tape, number)
    expect(await cygnet(environment(), String(number))).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/only on tape.*cygnet recall/),
    })
    await requestRecall(context, { runNumber: number, tag: 'LNGS' }, { days: 7, requestedBy: 'test' }, new Date(), signal)
    expect(await cygnet(environment(), String(number))).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('recalling') })
  })

  it('a run that is not in the catalogue is refused with a sentence', async () => {
    expect((await cygnet(environment(), '4000000')).error).toBe('run 4000000 is not in the catalogue')
    expect((await cygnet(environment(), '--range', '4000000..4000009', '--tag', 'LNGS')).error).toBe(
      'the catalogue has no runs from 4000000 to 4000009 of LNGS',
    )
  })
})

test('reconstructed files: there are none yet, and it says so', async () => {
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
])('the command line %s %s %s is refused before anything is asked', async (...args) => {
  expect((await cygnet(viaApi, ...args.filter((arg) => arg !== undefined))).error).toMatch(/error|expected|It is|smaller/)
})

test('what is no API of the catalogue is told as such', async () => {
  const other = createAdaptorServer({ fetch: () => new Response('<html>sign in to the wireless network</html>') })
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { error } = await cygnet({ CYGNET_API_URL: `http://127.0.0.1:${(other.address() as AddressInfo).port}` }, '5')
  await new Promise((resolve) => other.close(resolve))
  expect(error).toBe('what answers there is not the API of the catalogue')
})

test('an interrupted run of the command goes on with what it has', async () => {
  const run = await makeRun(context, number, 100)
  // As one leaves it that was killed before its first piece.
  writeFileSync(join(folder, `${run.key.slice(5)}.part`), 'x')
  expect((await cygnet(viaApi, String(number))).code).toBe(0)
  expect(files()).toEqual([run.key.slice(5)])
})

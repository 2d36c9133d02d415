/** `cygnet adopt`, and how a run that is history is shown. */
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import * as adopt from '../../../../cli/commands/adopt.ts'
import * as reconcile from '../../../../cli/commands/reconcile.ts'
import * as runs from '../../../../cli/commands/runs.ts'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import { temporaryFolder } from '../../../../infra/local/testing.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { listTakeOvers } from '../../../../shared/catalogue/take-over.ts'
import { startAlteringProxy } from '../../../support/altering-proxy.ts'
import { record } from '../../../support/catalogue.ts'
import { cygnet, serve } from '../../../support/cli/in-process.ts'

import { metadataOf, versionOf } from '../../../support/metadata.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  process.exitCode = undefined
})

const runWith = (environment: Record<string, string>, ...args: string[]) =>
  cygnet(
    [adopt, reconcile],
    {
      CYGNET_DATABASE_URL: context.catalogue.url,
      ...context.store.environment,
      CYGNET_FOLDER: '/nonexistent',
      ...environment,
    },
    ...args,
  )
const run = (...args: string[]) => runWith({}, ...args)

describe('cygnet adopt', () => {
  test('shows what a time will make of the objects, and sets it only with --yes', async () => {
    await context.put('LNGS/run00001.mid.gz', 'one')
    await context.put('LNGS/run00002.mid.gz', 'two')
    await context.put('LNF/run00001.mid.gz', 'other')
    expect((await run('adopt')).stdout).toBe('no tag has a take-over time\n')
    const plan = await run('adopt', '--tag', 'LNGS', '--since', '1h')
    expect(plan.stdout).toMatch(/before .*: history +0 +0\n.*from .* on: new +0 +2\nnothing was done/)
    expect(await listTakeOvers(context.database)).toEqual([])
    expect((await run('adopt', '--tag', 'LNGS', '--since', '2023-05-01', '--yes')).code).toBe(0)
    expect((await run('adopt', '--tag', '*', '--since', 'now', '--yes')).code).toBe(0)
    expect((await run('adopt')).stdout).toMatch(/\* .*\nLNGS +2023-05-01 00:00/)
    expect((await run('adopt', '--tag', 'LNGS', '--history', '--yes')).stdout).toContain('the beginning')
    expect((await run('adopt')).stdout).toMatch(/LNGS +the beginning/)
  })

  test('sets an earlier time when the clock of the store is behind, so that no new run is history', async () => {
    const proxy = await startAlteringProxy(context.store.environment.CYGNET_S3_ENDPOINT)
    proxy.alter = (answer) => {
      answer.headers.date = new Date(Date.now() - 4 * 60_000).toUTCString()
    }
    const before = Date.now()
    try {
      const { stderr } = await runWith(
        { CYGNET_S3_ENDPOINT: proxy.origin },
        'adopt',
        '--tag',
        'BEHIND',
        '--since',
        'now',
        '--yes',
      )
      expect(stderr).toContain("the store's clock is 4 minutes behind the database's")
      const since =
        (await listTakeOvers(context.database)).find(({ tag }) => tag === 'BEHIND')?.since.getTime() ?? 0
      expect(since).toBeLessThan(before - 3 * 60_000)
    } finally {
      await proxy.close()
    }
  })

  test.each([
    [['--tag', 'LNGS'], /give either --since TIME or --history/],
    [['--since', 'now'], /name the tag/],
    [['--tag', 'LNGS', '--since', '2123-01-01', '--yes'], /in the future/],
    [['--tag', 'LNGS', '--since', 'now', '--history', '--yes'], /give either/],
  ])('refuses %s', async (args, reason) => {
    const { error, stderr } = await run('adopt', ...args)
    expect(`${error}${stderr}`).toMatch(reason)
  })

  test('reconcile names the command that a tag without a time waits for', async () => {
    await context.database.deleteFrom('takeOvers').execute()
    await context.putAll(
      Array.from({ length: 101 }, (_, index) => `WAIT/run${index + 1}.mid.gz`),
      'x',
    )
    const proxy = await startAlteringProxy(String(context.store.environment.CYGNET_S3_ENDPOINT))
    proxy.alter = (answer) => {
      const old = `<LastModified>${new Date(Date.now() - 2 * 86_400_000).toISOString()}<`
      answer.body = Buffer.from(answer.body.toString().replace(/<LastModified>[^<]*</g, old))
    }
    try {
      const { stdout } = await runWith({ CYGNET_S3_ENDPOINT: proxy.origin }, 'reconcile', '--prefix', 'WAIT/')
      expect(stdout).toMatch(
        /WAIT: 101 unknown objects from .* cygnet adopt --tag 'WAIT' --since \d{4}-\d\d-\d\d/,
      )
    } finally {
      await proxy.close()
    }
  })
})

test('a run that is history is marked so in the API, by the command and on the page', async () => {
  const key = 'LNGS/run00007.mid.gz'
  await record(context.database, versionOf(key, 'old'), metadataOf(7), { isHistory: true })
  const app = createHandler(context)
  const api = await serve({ fetch: (request) => app.fetch(request) })
  try {
    const { secret } = await createToken(
      context.database,
      { name: 'ana', scopes: ['read:*'], days: 1 },
      new Date(),
    )
    const headers = { authorization: `Bearer ${secret}` }
    const answer = await fetch(`${api.url}/api/v1/runs/LNGS/7`, { headers })
    expect(await answer.json()).toMatchObject({ complete: true, beforeTakeOver: true, requests: [] })
    const page = await fetch(`${api.url}/runs/LNGS/7`, { headers })
    expect(await page.text()).toContain('<span class="label">history</span>')
    const environment = {
      CYGNET_API_URL: api.url,
      CYGNET_API_TOKEN: secret,
      CYGNET_FOLDER: temporaryFolder(),
    }
    expect((await cygnet([runs], environment, 'runs', 'show', '7')).stdout).toMatch(
      /complete +yes \(history\)/,
    )
    expect((await cygnet([runs], environment, 'runs', 'ls')).stdout).toMatch(/ yes \(history\) /)
  } finally {
    await api.close()
  }
})

/** What people see of runs with open problems: `cygnet runs`, `link` and `get`, the API and the pages. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import * as get from '../../../../cli/commands/get.ts'
import * as link from '../../../../cli/commands/link.ts'
import * as runs from '../../../../cli/commands/runs.ts'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import { temporaryFolder } from '../../../../infra/local/testing.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { recordInvalid } from '../../../../shared/catalogue/record-file.ts'
import { processArrival } from '../../../../shared/ingest/process-arrival.ts'
import { createLogger } from '../../../../shared/log.ts'
import { leaseOn, record } from '../../../support/catalogue.ts'
import { cygnet, serve } from '../../../support/cli/in-process.ts'
import { signal } from '../../../support/context.ts'
import { metadataOf, versionOf } from '../../../support/metadata.ts'
import { makeRun, type TestRun } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let api: Awaited<ReturnType<typeof serve>>
let token: string
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_REQUESTS_PER_MINUTE: '0' } })
  const app = createHandler(context)
  api = await serve({ fetch: (request) => app.fetch(request) })
  const scopes = ['read:*', 'link:*']
  token = (await createToken(context.database, { name: 'ana', scopes, days: 1 }, new Date())).secret
})
afterAll(async () => {
  await api?.close()
  await context?.close()
})
beforeEach(() => {
  for (const name of ['CYGNET_FOLDER', 'HOME', 'XDG_CONFIG_HOME']) vi.stubEnv(name, temporaryFolder())
})
afterEach(() => {
  vi.unstubAllEnvs()
})

const cli = (...args: readonly string[]) =>
  cygnet([runs, link, get], { CYGNET_API_URL: api.url, CYGNET_API_TOKEN: token }, ...args)
const request = (path: string, accept = 'application/json') =>
  fetch(`${api.url}${path}`, { headers: { accept, authorization: `Bearer ${token}` } })

/** The arrival of an object, as a notification announces it; returns the lines of the log. */
async function arrive(key: string) {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const log = createLogger({ function: 'test', level: 'info', destination })
  const hint = { ...versionOf(key, 'e'), bucket: context.bucket, sequencer: null, eventTime: null }
  const announced = { ...hint, eventName: 'ObjectCreated:Put', source: 'aws' } as const
  expect(await processArrival(context, announced, signal, log)).toBe('invalid')
  return lines.map((line) => JSON.parse(line))
}

describe('an object that was refused for its name', () => {
  test.each([
    ['LNGS/Run12361.mid.gz', 12361],
    ['LNGS/run_12362.mid.gz', 12362],
    ['LNGS/run12363.mid.gz.gz', 12363],
    ['LNGS/2026-run12364 (1).mid.gz', 12364],
  ])(
    '%s is found by run %i, with its state and the reason, by command, API and page',
    async (key, number) => {
      await arrive(key)
      for (const args of [[], ['--tag', 'LNGS']]) {
        const { error } = await cli('runs', 'show', String(number), ...args)
        expect(error).toContain(`${key}: invalid since`)
        expect(error).toContain('does not have the name of one')
      }
      const answer = await request(`/api/v1/runs/LNGS/${number}`)
      expect(answer.status).toBe(404)
      expect(JSON.stringify(await answer.json())).toContain(key)
      const page = await (await request(`/runs/LNGS/${number}`, 'text/html')).text()
      expect(page).toContain(`${key}</code>`)
      expect(page).toContain('refused')
      expect(page).toContain('does not have the name of one')
    },
  )

  test('the log states it as a warning, with the reason and the run that its name resembles', async () => {
    const line = (await arrive('LNGS/RUN12365.mid.gz')).find(({ event }) => event === 'arrival-processed')
    expect(line).toMatchObject({
      level: 'warn',
      outcome: 'invalid',
      reason: expect.stringContaining('does not have the name of one'),
      tag: 'LNGS',
      run: 12365,
    })
  })

  test('it is shown with the run of that number that is catalogued', async () => {
    await record(context.database, versionOf('LNGS/run12366.mid.gz', 'good'), metadataOf(12366))
    await arrive('LNGS/Run12366.mid.gz')
    const { stdout } = await cli('runs', 'show', '12366')
    expect(stdout).toMatch(/refused files[\s\S]*LNGS\/Run12366\.mid\.gz.*does not have the name of one/)
    const page = await (await request('/runs/LNGS/12366', 'text/html')).text()
    expect(page).toMatch(
      /<article class="refused">.{0,99}file refused<\/span> <code class="address">[^<]*LNGS\/Run12366\.mid\.gz<\/code>/,
    )
  })
})

describe('lists of runs', () => {
  const number = 500
  beforeAll(async () => {
    const frames = { banks: { DIG0: { count: 20, bytes: 5 } }, cameras: [] }
    await record(context.database, versionOf('LNGS/run00500.mid.gz', 'a'), metadataOf(number, frames))
    await record(context.database, versionOf('LNGS/run00501.mid.gz', 'b'), metadataOf(501))
    await record(context.database, versionOf('LNGS/run00502.mid.gz', 'c'), metadataOf(502))
    const version = versionOf('LNGS/run00502sub0001.mid.gz', 'd')
    const lease = await leaseOn(context.database, version)
    const refused = {
      lease,
      tag: 'LNGS',
      runNumber: 502,
      version,
      reason: 'it is no gzip file',
      isHistory: false,
    }
    const yes = async () => 'yes' as const
    await recordInvalid(context.database, refused, { at: new Date(), stillCurrent: yes })
  })
  const range = 'from=500&to=502'

  test.each([
    ['any', [502, 500]],
    ['no-camera', [500]],
    ['invalid-file', [502]],
    ['lost', []],
  ])('problem=%s finds these runs in the API, in the command and on the page', async (kind, expected) => {
    const answer = await request(`/api/v1/runs?${range}&problem=${kind}`)
    const found = ((await answer.json()) as { runs: { runNumber: number }[] }).runs
    expect(found.map(({ runNumber }) => runNumber)).toEqual(expected)
    const { stdout } = await cli('runs', 'ls', '--range', '500..502', '--problem', kind, '--json')
    const listed = stdout.split('\n').filter((line) => line !== '')
    expect(listed.map((line) => JSON.parse(line).runNumber)).toEqual(expected)
    const page = await (await request(`/runs?${range}&problem=${kind}`, 'text/html')).text()
    // An empty list leads to the last run.
    const rows = page.split('<p>Last run')[0] ?? ''
    for (const run of [500, 501, 502])
      expect(rows.includes(`href="/runs/LNGS/${run}"`), `run ${run}`).toBe(expected.includes(run))
  })

  test('no run is shown as complete beside an open problem', async () => {
    const page = await (await request(`/runs?${range}`, 'text/html')).text()
    expect(page).toContain('no camera frame')
    expect(page).toContain('file refused')
    expect(page.match(/complete<\/span>/g)).toHaveLength(1)
    const { stdout } = await cli('runs', 'ls', '--range', '500..502')
    expect(stdout).toMatch(/^500 .*no-camera/m)
    expect(stdout).toMatch(/^502 .*invalid-file/m)
    const csv = await (await request(`/api/v1/runs?${range}&fields=runNumber,problems&format=csv`)).text()
    expect(csv.split('\r\n')).toEqual(['runNumber,problems', '502,invalid-file', '501,', '500,no-camera', ''])
  })
})

describe('a file that should be used with care', () => {
  const number = 700
  let run: TestRun
  beforeAll(async () => {
    run = await makeRun(context, number)
    await context.database
      .updateTable('runFiles')
      .set({ complete: false, problem: 'it ends in an event' })
      .where('objectKey', '=', run.key)
      .execute()
  })
  const warning = 'is incomplete: it ends in an event'

  test('link warns on standard error and ends as usual', async () => {
    const { stdout, stderr, code } = await cli('link', String(number))
    expect(stderr).toContain(`warning: run00700.mid.gz ${warning}`)
    expect(stdout).toMatch(/^http/)
    expect(code).toBe(0)
    const json = await cli('link', String(number), '--json')
    expect(JSON.parse(json.stdout).files[0]).toMatchObject({ kind: 'link', warning })
  })

  test('get warns on standard error, fetches the file and ends as usual', async () => {
    const out = temporaryFolder()
    const { stderr, code } = await cli('get', String(number), '--out', out)
    expect(stderr).toContain(`warning: run00700.mid.gz ${warning}`)
    expect(code).toBe(0)
    expect(readFileSync(join(out, 'run00700.mid.gz')).equals(run.bytes)).toBe(true)
    const again = await cli('get', String(number), '--out', out, '--json')
    expect(JSON.parse(again.stdout)).toMatchObject({ state: 'already-there', warning })
  })

  test('the API states it, with and without a check of the store', async () => {
    for (const check of [true, false]) {
      const answer = await fetch(`${api.url}/api/v1/links`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ runs: [{ tag: 'LNGS', run: number }], check }),
      })
      expect(await answer.json()).toMatchObject({ files: [{ kind: 'link', warning }] })
    }
  })
})

/** Commands with a token for the API, for a run with only the logger's row in the Runlog. */
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import * as get from '../../../../cli/commands/get.ts'
import * as runs from '../../../../cli/commands/runs.ts'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import { temporaryFolder } from '../../../../infra/local/testing.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { takeLoggedRuns } from '../../../../shared/ingest/logged-runs.ts'
import { cygnet, serve } from '../../../support/cli/in-process.ts'
import { makeRun } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let api: Awaited<ReturnType<typeof serve>>
let environment: Readonly<Record<string, string>>
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_REQUESTS_PER_MINUTE: '0' } })
  const app = createHandler(context)
  api = await serve({ fetch: (request) => app.fetch(request) })
  const name = { name: 'ana', scopes: ['read:*', 'link:*'], days: 1 }
  const { secret } = await createToken(context.database, name, new Date())
  environment = { CYGNET_API_URL: api.url, CYGNET_API_TOKEN: secret }
  await makeRun(context, 76, 1000)
  await sql`INSERT INTO Runlog (tag, run_number, run_description, start_time, exposure_sec)
    VALUES ('LNGS', 77, 'only logged', '2023-12-14 23:33:17', 0.5)`.execute(context.database)
  await takeLoggedRuns(context)
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

test('cygnet runs ls lists a run without a file, with the reason', async () => {
  const { code, stdout } = await cygnet([runs], environment, 'runs', 'ls', '--range', '77..77')
  expect(code).toBe(0)
  expect(stdout).toMatch(/77 +LNGS +2023-12-14 22:33:17 .*only logged +no file of this run has arrived yet/)
  const csv = await cygnet([runs], environment, 'runs', 'ls', '--range', '77..77', '--csv')
  expect(csv).toMatchObject({ code: 0, error: null })
  expect(csv.stdout).toContain('only logged')
})

test("cygnet runs show shows the logger's row of a run without a file", async () => {
  const { code, stdout } = await cygnet([runs], environment, 'runs', 'show', '77')
  expect(code).toBe(0)
  expect(stdout).toMatch(/problem +no file of this run has arrived yet/)
  expect(stdout).toMatch(/exposure_sec +0.5/)
})

test('cygnet get reports a run without a file, and fetches the others of a range', async () => {
  const folder = temporaryFolder()
  const { code, stdout, stderr } = await cygnet(
    [get],
    environment,
    'get',
    '--out',
    folder,
    '--range',
    '76..77',
  )
  expect(code).toBe(1)
  expect(stdout).toContain('run00076.mid.gz')
  expect(stderr).toContain('run 77 of LNGS is not in the catalogue, or has no current file')
})

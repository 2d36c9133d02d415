/** A run of which only the logger's Runlog row is known: the pages show it. */
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Api } from '../../../../functions/catalog-api/http/route.ts'
import { reconcile } from '../../../../shared/ingest/reconcile.ts'
import { recentRuns } from '../../../../shared/queries/site-runs.ts'
import { signal } from '../../../support/context.ts'
import { OPERATOR, siteApp } from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let site: Api
beforeAll(async () => {
  context = await startTestTapeContext()
  site = siteApp(context, () => OPERATOR)
  await sql`INSERT INTO Runlog (tag, run_number, run_description, start_time, exposure_sec)
    VALUES ('LNGS', 77, 'only logged', '2023-12-14 23:33:17', 0.5)`.execute(context.database)
  await reconcile(context, { bucket: context.bucket, prefix: 'NONE/', graceSeconds: 0 }, signal)
})
afterAll(() => context.close())

const text = async (path: string) => {
  const response = await site.app.request(path)
  return [response.status, await response.text()] as const
}

test.each(['/', '/runs', '/runs/LNGS/77'])(
  'the page %s shows it as one whose file is awaited',
  async (path) => {
    const [status, page] = await text(path)
    expect(status).toBe(200)
    expect(page).toContain('no file yet')
    expect(page).not.toContain('not complete')
  },
)

test('it is no incomplete run of the last day', async () => {
  const recent = await recentRuns(context.database, ['LNGS'], new Date(Date.now() - 86_400_000))
  expect(recent.get('LNGS')).toMatchObject({ runs: 1, incomplete: 0 })
})

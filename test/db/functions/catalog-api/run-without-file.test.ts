/** A run of which only the logger's Runlog row is known: pages, lists, links and old tools hold. */
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import type { Api } from '../../../../functions/catalog-api/http/route.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { reconcile } from '../../../../shared/ingest/reconcile.ts'
import { runsByPlace, storageByDay } from '../../../../shared/queries/dashboard.ts'
import { recentRuns } from '../../../../shared/queries/site-runs.ts'
import { signal } from '../../../support/context.ts'
import { OPERATOR, siteApp } from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let site: Api
let ask: (path: string, body?: object) => Promise<Response>
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_REQUESTS_PER_MINUTE: '0' } })
  site = siteApp(context, () => OPERATOR)
  const api = createHandler(context)
  const name = { name: 'ana', scopes: ['read:*', 'link:*', 'recall:*'], days: 1 }
  const { secret } = await createToken(context.database, name, new Date())
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
  ask = async (path, body) =>
    await api.fetch(
      new Request(`http://localhost${path}`, {
        headers,
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      }),
    )
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
    const [status, whole] = await text(path)
    // The words for all problems stand in the filters.
    const page = whole.replaceAll(/<option[^>]*>[^<]*<\/option>/g, '')
    expect(status).toBe(200)
    expect(page).toMatch(/no file yet/i)
    expect(page).not.toContain('not complete')
  },
)

test('it has no open problem in the last day', async () => {
  const recent = await recentRuns(context.database, ['LNGS'], new Date(Date.now() - 86_400_000))
  expect(recent.get('LNGS')).toMatchObject({ runs: 1, withProblem: 0 })
})

describe('of the API', () => {
  const AWAITED = {
    tag: 'LNGS',
    runNumber: 77,
    startedAt: '2023-12-14T22:33:17.000Z',
    complete: false,
    problem: 'no file of this run has arrived yet',
    fileCount: 0,
    sizeBytes: 0,
    description: 'only logged',
  }

  test('the run has its parameters and no file', async () => {
    const answer = await ask('/api/v1/runs/LNGS/77')
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({
      ...AWAITED,
      parameters: { exposure_sec: 0.5 },
      storage: { cloud: 'absent', tape: 'none', local: null },
      files: [],
      replicas: [],
      banks: [],
      events: [],
      uses: [{ current: true, fileCount: 0 }],
    })
  })

  test('lists have it, as JSON, NDJSON and CSV', async () => {
    const item = { ...AWAITED, storage: { cloud: 'absent', tape: 'none' } }
    const json = (await (await ask('/api/v1/runs?cloud=absent&tape=none')).json()) as { runs: unknown[] }
    expect(json.runs).toMatchObject([item])
    const ndjson = await (await ask('/api/v1/runs?format=ndjson&param.exposure_sec=0.5')).text()
    expect(JSON.parse(ndjson)).toMatchObject(item)
    const csv = await (
      await ask('/api/v1/runs?format=csv&fields=runNumber,fileCount,eventCount,param.exposure_sec')
    ).text()
    expect(csv.trim().split('\r\n')).toEqual([
      'runNumber,fileCount,eventCount,param.exposure_sec',
      '77,0,0,0.5',
    ])
  })

  test('links state why there are none', async () => {
    const why = 'run 77 of LNGS is not in the catalogue, or has no current file'
    for (const check of [true, false]) {
      const answer = await ask('/api/v1/links', { runs: [{ tag: 'LNGS', run: 77 }], check })
      expect(answer.status).toBe(200)
      expect(await answer.json()).toMatchObject({ files: [], unknown: [{ tag: 'LNGS', run: 77, why }] })
    }
    expect(await (await ask('/api/v1/runs/LNGS/77/links')).json()).toMatchObject({
      files: [],
      unknown: [{ why }],
    })
  })

  test('it cannot be recalled', async () => {
    const answer = await ask('/api/v1/runs/LNGS/77/recall', {})
    expect(answer.status).toBe(409)
    expect(await answer.text()).toContain('no file of run 77 of LNGS was catalogued yet')
  })

  test('the endpoint of the old tools shows what the logger wrote, and no file', async () => {
    expect(await (await ask('/cygno_sql_query.php?run=77')).json()).toMatchObject({
      run_number: '77',
      run_description: 'only logged',
      start_time: '2023-12-14 23:33:17',
      exposure_sec: '0.5',
      stop_time: null,
      storage_cloud_status: '-1',
      storage_tape_status: '-1',
      file_size: '-1',
      file_checksum: null,
      file_s3_tag: null,
    })
  })
})

test('totals count it, with no bytes, and no day has its data', async () => {
  expect(await runsByPlace(context.database)).toEqual([
    { tag: 'LNGS', cloud: 'absent', tape: 'none', runs: 1, sizeBytes: 0 },
  ])
  expect(await storageByDay(context.database, '*', new Date('2023-01-01'))).toEqual([])
})

/** A person corrects parameters of a run: the correction counts wherever parameters are shown, and stays. */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { runParameters } from '../../../../functions/catalog-api/api/schemas.ts'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { recordInvalid } from '../../../../shared/catalogue/record-file.ts'
import { takeLoggedRuns } from '../../../../shared/ingest/logged-runs.ts'
import { leaseOn, record, runlogRow } from '../../../support/catalogue.ts'
import { metadataOf, versionOf } from '../../../support/metadata.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let ask: (method: 'GET' | 'PATCH', path: string, body?: object) => Promise<Response>
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_REQUESTS_PER_MINUTE: '0' } })
  const api = createHandler(context)
  const name = { name: 'ana', scopes: ['read:*', 'operate:LNGS'], days: 1 }
  const { secret } = await createToken(context.database, name, new Date())
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
  ask = async (method, path, body) =>
    await api.fetch(
      new Request(`http://localhost${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    )
})
afterAll(() => context.close())

let run = 800
let key: string
beforeEach(async () => {
  run++
  key = `LNGS/run00${run}.mid.gz`
  await drop('first')
})

const ODB = { ...metadataOf(0).odb, GEM1_V: 430 }
const drop = (etag: string, odb: object = ODB) =>
  record(context.database, versionOf(key, etag), metadataOf(run, { odb: odb as typeof ODB }, etag))
const correct = (parameters: object, reason = 'mistyped') =>
  ask('PATCH', `/api/v1/runs/LNGS/${run}/parameters`, { parameters, reason })
const shown = async () =>
  (await (await ask('GET', `/api/v1/runs/LNGS/${run}`)).json()) as {
    parameters: Record<string, unknown>
    parameterSources: Record<string, unknown>
    history: { what: string; detail: string }[]
  }

test('a correction counts for the run, its search, the Runlog, and the history states it', async () => {
  const answer = await correct({ GEM1_V: 440, run_description: 'AmBe source', pedestal_run: 1 })
  expect(answer.status).toBe(200)
  expect(runParameters.parse(await answer.json())).toMatchObject({
    parameters: { GEM1_V: 440, run_description: 'AmBe source', pedestal_run: 1, exposure_sec: 0.3 },
    parameterSources: { GEM1_V: 'person', run_description: 'person', exposure_sec: 'file' },
    corrections: { GEM1_V: { value: 440, by: 'ana' } },
  })
  const { history } = await shown()
  expect(history.filter(({ what }) => what === 'parameters corrected')).toMatchObject([
    {
      detail:
        'GEM1_V: 440 instead of 430; run_description: AmBe source instead of test; pedestal_run: 1 instead of 0; by ana: mistyped',
    },
  ])
  const search = `/api/v1/runs?from=${run}&to=${run}&param.GEM1_V=440&pedestal=true&text=ambe`
  expect(await (await ask('GET', search)).json()).toMatchObject({ runs: [{ runNumber: run }] })
  expect(await runlogRow(context.database, run)).toMatchObject({
    GEM1_V: 440,
    pedestal_run: 1,
    run_description: 'AmBe source',
    exposure_sec: 0.3,
  })
})

test('a correction survives that the file is read again, replaced and refused', async () => {
  await correct({ GEM1_V: 440, pedestal_run: 1 })
  await drop('first')
  expect((await shown()).parameters.GEM1_V).toBe(440)
  const replaced = await drop('second', { ...ODB, GEM1_V: 420, GEM2_V: 421 })
  expect(await shown()).toMatchObject({
    parameters: { GEM1_V: 440, GEM2_V: 421 },
    parameterSources: { GEM1_V: 'person', GEM2_V: 'file' },
  })
  const reco =
    replaced.kind === 'recorded' ? replaced.requests.find((one) => one.queue === 'reco-requests') : null
  expect(reco?.body).toMatchObject({ pedestal: true })
  const version = versionOf(key, 'unreadable')
  const lease = await leaseOn(context.database, version)
  const refused = { lease, tag: 'LNGS', runNumber: run, version, reason: 'cut', isHistory: false }
  await recordInvalid(context.database, refused, { at: new Date(), stillCurrent: async () => 'yes' })
  expect((await shown()).parameters.GEM1_V).toBe(440)
  await correct({ GEM1_V: null })
  expect(await shown()).toMatchObject({
    parameters: { GEM1_V: 420, pedestal_run: 1 },
    parameterSources: { GEM1_V: 'file' },
  })
})

test('a correction survives what the logger writes later', async () => {
  await correct({ GEM1_V: 440 })
  await sql`UPDATE Runlog SET GEM1_V = 435, PMT1_V = 900 WHERE run_number = ${run}`.execute(context.database)
  expect(await takeLoggedRuns(context)).toBe(1)
  expect(await runlogRow(context.database, run)).toMatchObject({ GEM1_V: 440, PMT1_V: 900 })
  expect(await shown()).toMatchObject({
    parameters: { GEM1_V: 440, PMT1_V: 900 },
    parameterSources: { GEM1_V: 'person', PMT1_V: 'logger' },
  })
})

test('without its correction the run has what the DAQ wrote', async () => {
  await correct({ GEM1_V: 440, PMT1_V: 900 })
  const answer = await correct({ GEM1_V: null, PMT1_V: null, GEM2_V: null }, 'it was right')
  expect(runParameters.parse(await answer.json()).corrections).toEqual({})
  const { parameters, parameterSources, history } = await shown()
  expect(parameters.GEM1_V).toBe(430)
  expect(parameters.PMT1_V ?? null).toBeNull()
  expect(parameterSources.GEM1_V).toBe('file')
  expect(history.at(-1)?.detail).toBe(
    'GEM1_V: correction withdrawn; PMT1_V: correction withdrawn; by ana: it was right',
  )
})

test('a value may be as long as its column holds; the history has its beginning', async () => {
  await drop('second', { ...ODB, run_description: 'd'.repeat(65_535) })
  const long = { run_description: 'e'.repeat(10_000), sequence_filename: 'é'.repeat(255) }
  expect((await correct(long)).status).toBe(200)
  expect(await runlogRow(context.database, run)).toMatchObject(long)
  const cut = (letter: string) => `${letter.repeat(199)}…`
  expect((await shown()).history.at(-1)?.detail).toBe(
    `run_description: ${cut('e')} instead of ${cut('d')}; sequence_filename: ${cut('é')} instead of nothing; by ana: mistyped`,
  )
})

test('the same correction again writes nothing', async () => {
  await correct({ GEM1_V: 440 })
  const before = (await shown()).history.length
  expect((await correct({ GEM1_V: 440 })).status).toBe(200)
  expect((await shown()).history).toHaveLength(before)
})

test.each([
  [{ GEM1_V: 'high' }, 'GEM1_V cannot be "high": it is FLOAT'],
  [{ pedestal_run: 2 }, 'pedestal_run cannot be 2: it is BOOLEAN'],
  [
    { sequence_filename: 'f'.repeat(256) },
    'sequence_filename is longer than its column holds: it is VARCHAR(255)',
  ],
  [{ nothing: 1 }, 'nothing is not a parameter that can be corrected'],
  [{ run_number: 1 }, 'run_number is not a parameter that can be corrected'],
  [{ start_time: '2024-01-01 00:00:00' }, 'start_time is not a parameter that can be corrected'],
  [{ storage_tape_status: 1 }, 'storage_tape_status is not a parameter that can be corrected'],
])('%j is refused with a reason, and nothing is written', async (parameters, detail) => {
  const answer = await correct({ GEM2_V: 441, ...parameters })
  expect(answer.status).toBe(400)
  expect(await answer.json()).toMatchObject({ detail })
  expect((await shown()).parameters.GEM2_V ?? null).toBeNull()
})

test('a correction of nothing, and one without a reason, are refused', async () => {
  expect((await correct({})).status).toBe(400)
  expect((await correct({ GEM1_V: 440 }, ' ')).status).toBe(400)
})

test('a run that is not there, and one of a tag that is not theirs, are not corrected', async () => {
  const body = { parameters: { GEM1_V: 1 }, reason: 'x' }
  expect((await ask('PATCH', '/api/v1/runs/LNGS/999999/parameters', body)).status).toBe(404)
  expect((await ask('PATCH', `/api/v1/runs/LNF/${run}/parameters`, body)).status).toBe(403)
})

test('the page of the run names who corrected', async () => {
  await correct({ GEM1_V: 440 })
  const page = await (await ask('GET', `/runs/LNGS/${run}`)).text()
  expect(page).toContain('corrected by ana')
})

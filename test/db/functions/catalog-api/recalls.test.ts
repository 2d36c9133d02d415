/** Recalls of many runs by one request: the plan, who may request it, and how far it is. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { registerLinks } from '../../../../functions/catalog-api/api/links.ts'
import { registerRecalls } from '../../../../functions/catalog-api/api/recalls.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { signal } from '../../../support/context.ts'
import {
  ANONYMOUS,
  caller,
  READER,
  type RestApp,
  restApp,
} from '../../../support/functions/catalog-api/rest-app.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { deleteFromStore, makeRun, onlyOnTape } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const SHIFTER = caller('read:LNGS', 'link:LNGS', 'recall:LNGS')
const OPERATOR = caller('recall:*', 'operate:*')

let context: TestTapeContext
let tape: RecallTape
let app: RestApp
/** Numbers of 100 for each test. */
let from = 0
beforeAll(async () => {
  context = await startTestTapeContext({ environment: { CYGNET_RECALL_BYTES_PER_TAG: '20000' } })
})
afterAll(() => context.close())
beforeEach(async () => {
  from += 100
  tape = recallTape()
  app = restApp({ ...context, tape }, registerLinks, registerRecalls)
  for (const table of ['tasks', 'recalls', 'recallRequests'] as const)
    await context.database.deleteFrom(table).execute()
})

const range = () => ({ tag: 'LNGS', from, to: from + 99 })
const recalls = (more: object = {}, who = SHIFTER) =>
  app.post('/api/v1/recalls', { range: range(), ...more }, who)
const requested = async () =>
  (await context.database.selectFrom('recalls').select('runNumber').orderBy('id').execute()).map(
    (row) => row.runNumber,
  )

test('the plan of a range names what is fetched, what is there and what is left out, and changes nothing', async () => {
  await onlyOnTape(context, tape, from, 1000)
  await makeRun(context, from + 1, 2000)
  const lost = await makeRun(context, from + 2, 3000)
  await deleteFromStore(context, lost)
  const { status, json } = await recalls({ dryRun: true })
  expect(status).toBe(200)
  expect(json).toMatchObject({
    requested: false,
    runs: 3,
    onTape: { files: 1, sizeBytes: 1000 },
    inStore: { files: 1, sizeBytes: 2000 },
    recalling: { files: 0, sizeBytes: 0 },
    unavailable: { files: 1, sizeBytes: 3000 },
    refusal: null,
  })
  expect(json.files[2]).toMatchObject({
    key: lost.key,
    reason: expect.stringContaining('never copied to tape'),
  })
  expect(await requested()).toEqual([])
})

test('a range is requested without what is not on tape, and its plan then shows how far it is', async () => {
  await onlyOnTape(context, tape, from, 1000)
  await onlyOnTape(context, tape, from + 5, 1000)
  await deleteFromStore(context, await makeRun(context, from + 2, 3000))
  expect(await recalls({ days: 3 })).toMatchObject({
    status: 202,
    json: { requested: true, recalling: { files: 2 }, onTape: { files: 0 }, unavailable: { files: 1 } },
  })
  await advanceRecalls({ ...context, tape }, signal, context.log)
  expect((await recalls({ dryRun: true })).json).toMatchObject({
    inStore: { files: 2 },
    recalling: { files: 0 },
  })
  expect(await requested()).toEqual([from, from + 5])
})

test('a file whose recall failed is on tape again in the plan, with the reason', async () => {
  const run = await onlyOnTape(context, tape, from, 1000)
  await recalls()
  await context.put(run.key, 'another run')
  await advanceRecalls({ ...context, tape }, signal, context.log)
  const { json } = await recalls({ dryRun: true })
  expect(json.files).toMatchObject([{ state: 'on-tape', reason: expect.stringContaining('other contents') }])
})

test('runs may be named one by one', async () => {
  await onlyOnTape(context, tape, from, 1000)
  await onlyOnTape(context, tape, from + 1, 1000)
  const runs = [{ tag: 'LNGS', run: from + 1 }]
  expect((await app.post('/api/v1/recalls', { runs }, SHIFTER)).status).toBe(202)
  expect(await requested()).toEqual([from + 1])
  const unknown = [{ tag: 'LNGS', run: from + 50 }]
  expect((await app.post('/api/v1/recalls', { runs: unknown }, SHIFTER)).status).toBe(409)
})

test('a range without runs is not found, and one that cannot be recalled at all is refused', async () => {
  expect((await recalls()).status).toBe(404)
  await deleteFromStore(context, await makeRun(context, from))
  const { status, text } = await recalls()
  expect(status).toBe(409)
  expect(text).toContain('none of these runs can be recalled')
})

test('a range is complete although it has hundreds of numbers of which no file was catalogued', async () => {
  await onlyOnTape(context, tape, from + 10_000)
  const at = new Date()
  const none = {
    parameters: '{}',
    startedEpoch: 0,
    integrity: 'unstated',
    cataloguedAt: at,
    updatedAt: at,
  } as const
  const values = Array.from({ length: 502 }, (_, later) => {
    const runNumber = from + 10_001 + later
    return { ...none, tag: 'LNGS', runNumber }
  })
  await context.database.insertInto('runs').values(values).execute()
  await onlyOnTape(context, tape, from + 10_600)
  const wide = { tag: 'LNGS', from: from + 10_000, to: from + 10_999 }
  const { status } = await app.post('/api/v1/recalls', { range: wide }, SHIFTER)
  expect(status).toBe(202)
  expect(await requested()).toEqual([from + 10_000, from + 10_600])
})

test('more files than one request may have are planned, and refused unless they are of one run', async () => {
  const { runId } = await onlyOnTape(context, tape, from)
  await makeRun(context, from + 1)
  const rows = context.database.selectFrom('runFiles').selectAll().where('runId', '=', runId)
  const { id: _, ...file } = await rows.executeTakeFirstOrThrow()
  const columns = Object.entries(file).map(([name, value]) => {
    const isJson = value?.constructor === Object || Array.isArray(value)
    return [name, isJson ? JSON.stringify(value) : value]
  })
  for (let subrun = 1; subrun <= 200; subrun++) {
    const own = { subrun, digitizers: 'null', objectKey: `LNGS/run${from}sub${subrun}.mid.gz` }
    await context.database
      .insertInto('runFiles')
      .values({ ...Object.fromEntries(columns), ...own })
      .execute()
  }
  expect(await recalls({ dryRun: true })).toMatchObject({
    status: 200,
    json: { unavailable: { files: 200 } },
  })
  const refused = await recalls()
  expect(refused.status).toBe(409)
  expect(refused.json).toMatchObject({ detail: expect.stringContaining('at most 200 files') })
  expect(await requested()).toEqual([])
  const alone = { range: { tag: 'LNGS', from, to: from } }
  expect((await app.post('/api/v1/recalls', alone, SHIFTER)).status).toBe(202)
})

test('a file whose copy on tape turned out to be damaged is a failed one, not one that was left out', async () => {
  const damaged = await onlyOnTape(context, tape, from)
  tape.files.set(`${context.bucket}/${damaged.key}`, new Uint8Array(damaged.bytes.length))
  await recalls()
  let clockMs = Date.now()
  for (let beat = 0; beat < 6; beat++) {
    await advanceRecalls({ ...context, tape, now: () => new Date(clockMs) }, signal, context.log)
    clockMs += 600_000
  }
  const { json } = await recalls({ dryRun: true })
  expect(json).toMatchObject({ failed: { files: 1 }, unavailable: { files: 0 }, onTape: { files: 0 } })
})

test('who may not recall runs of the tag is refused', async () => {
  expect((await recalls({}, ANONYMOUS)).status).toBe(401)
  expect((await recalls({}, READER)).status).toBe(403)
  expect((await recalls({}, caller('recall:LNF'))).status).toBe(403)
})

test('a budget is stated in the plan, refused in the request, and exceeded by operators only', async () => {
  for (const run of [0, 1, 2]) await onlyOnTape(context, tape, from + run, 9000)
  expect((await recalls({ dryRun: true })).json).toMatchObject({
    refusal: expect.stringContaining('the budget of LNGS'),
  })
  const { status, text } = await recalls()
  expect([status, text]).toEqual([409, expect.stringContaining('the budget of LNGS is 20.0 kB a day')])
  expect((await recalls({ exceed: true })).status).toBe(403)
  expect(await requested()).toEqual([])
  expect((await recalls({ exceed: true }, OPERATOR)).status).toBe(202)
  expect(await requested()).toEqual([from, from + 1, from + 2])
})

test('the recall of one run has the same budget, and the same right to exceed it', async () => {
  await onlyOnTape(context, tape, from, 30_000)
  const path = `/api/v1/runs/LNGS/${from}/recall`
  expect((await app.post(path, {}, SHIFTER)).status).toBe(409)
  expect((await app.post(path, { exceed: true }, SHIFTER)).status).toBe(403)
  expect((await app.post(path, { exceed: true }, OPERATOR)).status).toBe(202)
})

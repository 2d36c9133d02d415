/** Recalls of many runs by one request: the plan, who may request it, and how far it is. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { registerLinks } from '../../../../functions/catalog-api/api/links.ts'
import { registerRecalls } from '../../../../functions/catalog-api/api/recalls.ts'
import { advanceRecalls } from '../../../../shared/copies/recall/schedule.ts'
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

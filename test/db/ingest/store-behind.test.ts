/** A store whose clock is years behind: what it dates before the take-over time may be new. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { runFileBytes } from '../../../cli/simulate/write.ts'
import { recordArrivals } from '../../../shared/catalogue/arrivals.ts'
import { setTakeOver } from '../../../shared/catalogue/take-over.ts'
import { releaseHistory } from '../../../shared/ingest/adopt.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import { reconcile } from '../../../shared/ingest/reconcile.ts'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import { type AlteringProxy, startAlteringProxy } from '../../support/altering-proxy.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'

const DAY_MS = 86_400_000
const THEN = new Date('2023-01-01T00:10:00Z')
const TAKEN_OVER = new Date(Date.now() - 180 * DAY_MS)
const LONG_AGO_EPOCH = THEN.getTime() / 1000 - 3600

let context: TestContext
let proxy: AlteringProxy
/** Of each object. */
let date = THEN
/** What the store states of its own clock; else only the dates of its objects are wrong. */
let behindMs = 0

beforeAll(async () => {
  proxy = await startAlteringProxy()
  context = await startTestContext({ CYGNET_S3_ENDPOINT: proxy.origin })
  proxy.target = String(context.store.environment.CYGNET_S3_ENDPOINT)
  proxy.alter = (answer) => {
    if (behindMs > 0) answer.headers.date = new Date(Date.now() - behindMs).toUTCString()
    if (answer.headers['last-modified'] !== undefined) answer.headers['last-modified'] = date.toUTCString()
    if (!answer.body.includes('<LastModified>')) return
    const dated = `<LastModified>${date.toISOString()}<`
    const text = answer.body.toString('latin1').replaceAll(/<LastModified>[^<]*</g, dated)
    answer.body = Buffer.from(text, 'latin1')
  }
  await setTakeOver(context.database, '*', TAKEN_OVER, { at: context.now() })
})
afterAll(async () => {
  await context.close()
  await proxy.close()
})
beforeEach(() => {
  date = THEN
  behindMs = 0
})

/** An object of a run that began years ago, unless stated otherwise: only its arrival can show that it is new. */
async function stored(runNumber: number, startTime = LONG_AGO_EPOCH): Promise<ObjectArrival> {
  const key = `LNGS/run${String(runNumber).padStart(5, '0')}.mid.gz`
  const file = { runNumber, seed: runNumber, startTime, camera: 32, events: 12, digitizers: false }
  return { ...(await context.put(key, await runFileBytes(file))), eventTime: THEN }
}
const process = (arrival: ObjectArrival) => processArrival(context, arrival, signal, context.log)
const listed = (arrival: ObjectArrival): ObjectArrival => ({ ...arrival, source: 'reconcile' })
const listing = (prefix: string) =>
  reconcile(context, { bucket: context.bucket, prefix, graceSeconds: 60 }, signal)
const isHistory = async (runNumber: number) => {
  const run = context.database.selectFrom('runs').select('isHistory').where('runNumber', '=', runNumber)
  return (await run.executeTakeFirstOrThrow()).isHistory
}
const tapeRequests = async () => (await context.drain('tape-requests')).map(({ runNumber }) => runNumber)

test('a run is new when its notification came after the take-over time, whatever date the store states', async () => {
  const arrival = await stored(88)
  expect(await process(arrival)).toBe('catalogued')
  expect(await isHistory(88)).toBe(false)
  expect(await tapeRequests()).toEqual([88])
  // Read after the take-over time, but notified before it.
  const old = await stored(89)
  await recordArrivals(context.database, [old], THEN)
  await process(old)
  expect(await isHistory(89)).toBe(true)
})

test('a run that was only listed is new when it began after the take-over time by its file', async () => {
  await process(listed(await stored(90, Math.floor(Date.now() / 1000) - 3600)))
  await process(listed(await stored(91)))
  expect([await isHistory(90), await isHistory(91)]).toEqual([false, true])
  expect(await tapeRequests()).toEqual([90])
  const marks = await context.database
    .selectFrom('arrivals')
    .select('isHistory')
    .where('objectKey', 'like', '%run00090%')
    .execute()
  expect(marks).toEqual([{ isHistory: false }])
})

test('an unreadable object is alerted when the Runlog states that its run began after the take-over time', async () => {
  const run = { tag: 'LNGS', integrity: 'unstated' as const, parameters: '{}' }
  const times = { cataloguedAt: context.now(), updatedAt: context.now() }
  const startedEpoch = Math.floor(Date.now() / 1000) - 3600
  await context.database
    .insertInto('runs')
    .values({ ...run, ...times, runNumber: 92, startedEpoch })
    .execute()
  await context.drain('alerts')
  for (const number of [92, 93])
    await process(
      listed({ ...(await context.put(`LNGS/run000${number}.mid.gz`, 'not a run')), eventTime: THEN }),
    )
  expect((await context.drain('alerts')).map(({ rule, runNumber }) => [rule, runNumber])).toEqual([
    ['invalid-file', 92],
  ])
})

test('what a store lists while its clock is behind is new', async () => {
  // Less than what its signatures tolerate.
  behindMs = 10 * 60_000
  date = new Date(Date.now() - behindMs)
  const since = new Date(Date.now() - 5 * 60_000)
  await setTakeOver(context.database, 'LNGS', since, { at: context.now() })
  const arrival = await stored(94)
  expect(await listing('LNGS/run00094')).toMatchObject({ announced: 1, history: 0 })
  await process(listed(arrival))
  expect(await isHistory(94)).toBe(false)
  await setTakeOver(context.database, 'LNGS', TAKEN_OVER, { at: context.now() })
})

test('a run that a wrong date made history becomes new by its begin, and its copy is requested', async () => {
  const arrival = await stored(95, Math.floor(Date.now() / 1000) - 3600)
  await process(listed(arrival))
  for (const table of ['runFiles', 'runs', 'arrivals'] as const)
    await context.database.updateTable(table).set({ isHistory: true }).execute()
  const { adopted } = await releaseHistory(context, signal)
  expect(adopted).toBeGreaterThan(0)
  expect([await isHistory(95), await isHistory(91)]).toEqual([false, true])
})

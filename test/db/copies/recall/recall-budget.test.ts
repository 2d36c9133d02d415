/** Limits on what is requested from tape: per person, per tag, and the room in the store. */
import { afterEach, expect, test } from 'vitest'
import { type RecallRequest, recallRuns, requestRecall } from '../../../../shared/copies/recall/request.ts'
import { runsInRange } from '../../../../shared/copies/recall/resolve-run.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { signal } from '../../../support/context.ts'
import { type RecallTape, recallTape } from '../../../support/recall-tape.ts'
import { deleteFromStore, makeRun, onlyOnTape, putOnTape } from '../../../support/recalled-runs.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const HOUR = 3_600_000

let context: TestTapeContext
let here: TestTapeContext
let tape: RecallTape
let clockMs: number
afterEach(() => context.close())

async function start(environment: Readonly<Record<string, string>>) {
  context = await startTestTapeContext({ environment })
  tape = recallTape()
  clockMs = Date.now()
  here = { ...context, tape, now: () => new Date(clockMs) }
}
const recall = async (runNumber: number, more: Partial<RecallRequest> = {}) => {
  const options = { days: 7, requestedBy: 'Ana', subject: 'person:ana', ...more }
  return await requestRecall(here, { runNumber, tag: 'LNGS' }, options, here.now(), signal)
}
const range = async (from: number, to: number, more: Partial<RecallRequest> = {}) => {
  const runs = await runsInRange(context.database, { tag: 'LNGS', from, to }, 100)
  const options = { days: 7, requestedBy: 'Ana', subject: 'person:ana', ...more }
  return await recallRuns(here, runs, options, here.now(), signal)
}
const recalls = async () =>
  (await context.database.selectFrom('recalls').select('runNumber').orderBy('runNumber').execute()).map(
    (row) => row.runNumber,
  )

test('a person may request so many bytes from tape within 24 hours, and is told from when on more', async () => {
  await start({ CYGNET_RECALL_BYTES_PER_DAY: '5000' })
  for (const run of [1, 2, 3]) await onlyOnTape(here, tape, run, 2000)
  await recall(1)
  const first = clockMs
  clockMs += HOUR
  await recall(2)
  clockMs += HOUR
  const from = new Date(first + 24 * HOUR).toISOString()
  await expect(recall(3)).rejects.toThrow(
    `your budget is 5.00 kB a day: this needs 2.00 kB from tape, and 4.00 kB were requested within 24 hours; it is possible from ${from} on`,
  )
  expect(await recalls()).toEqual([1, 2])
  await recall(3, { subject: 'person:bea' })
  clockMs = first + 24 * HOUR
  expect(await recalls()).toEqual([1, 2, 3])
  await onlyOnTape(here, tape, 4, 2000)
  await recall(4)
})

test('the budget of a tag counts the requests of all persons', async () => {
  await start({ CYGNET_RECALL_BYTES_PER_TAG: '3000' })
  for (const run of [1, 2]) await onlyOnTape(here, tape, run, 2000)
  const other = await makeRun(here, 2, 2000, 'LNF')
  await putOnTape(here, tape, other)
  await deleteFromStore(here, other)
  await recall(1)
  await expect(recall(2, { subject: 'person:bea' })).rejects.toThrow('the budget of LNGS is 3.00 kB a day')
  const options = { days: 7, requestedBy: 'Ana' }
  await requestRecall(here, { runNumber: 2, tag: 'LNF' }, options, here.now(), signal)
})

test('an operator exceeds a budget on purpose, and what was fetched counts for others', async () => {
  await start({ CYGNET_RECALL_BYTES_PER_DAY: '1000', CYGNET_RECALL_BYTES_PER_TAG: '3000' })
  for (const run of [1, 2]) await onlyOnTape(here, tape, run, 2000)
  await expect(recall(1)).rejects.toThrow(
    'your budget is 1.00 kB a day: this needs 2.00 kB from tape at once, which only an operator can permit (--exceed)',
  )
  await recall(1, { exceed: true })
  await expect(recall(2, { subject: 'person:bea' })).rejects.toThrow('budget')
})

test('files that are in the store, or being recalled already, cost nothing', async () => {
  await start({ CYGNET_RECALL_BYTES_PER_DAY: '2000' })
  await onlyOnTape(here, tape, 1, 2000)
  await makeRun(here, 2, 2000)
  tape.checksUntilOnline = 1000
  await recall(1)
  await recall(1, { days: 30 })
  await advanceRecalls(here, signal, here.log)
  await recall(1)
  expect((await recall(2)).files).toMatchObject([{ alreadyThere: true }])
  tape.checksUntilOnline = 0
  clockMs += HOUR
  expect(await advanceRecalls(here, signal, here.log)).toMatchObject({ present: 1 })
  await recall(1)
})

test('a request of many runs that exceeds the budget requests none of them', async () => {
  await start({ CYGNET_RECALL_BYTES_PER_DAY: '5000' })
  for (const run of [1, 2, 3]) await onlyOnTape(here, tape, run, 2000)
  await expect(range(1, 3)).rejects.toThrow('needs 6.00 kB')
  expect(await recalls()).toEqual([])
  expect(await range(1, 2)).toMatchObject([{ run: { runNumber: 1 } }, { run: { runNumber: 2 } }])
  expect(await recalls()).toEqual([1, 2])
})

test.each([
  ['of a person', { CYGNET_RECALL_BYTES_PER_DAY: '4000' }],
  ['of a tag', { CYGNET_RECALL_BYTES_PER_TAG: '4000' }],
  ['of the room in the store', { CYGNET_CLOUD_CAPACITY_BYTES: '4000', CYGNET_CLOUD_HIGH_WATER: '1' }],
])('requests at the same time do not exceed the budget %s together', async (_, environment) => {
  await start(environment)
  for (const run of [1, 2, 3, 4, 5, 6]) await onlyOnTape(here, tape, run, 2000)
  const results = await Promise.allSettled([1, 2, 3, 4, 5, 6].map((run) => recall(run)))
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
  expect(await recalls()).toHaveLength(2)
})

test('a recall that the store has no room for is refused; those in progress count', async () => {
  await start({ CYGNET_CLOUD_CAPACITY_BYTES: '10000', CYGNET_CLOUD_HIGH_WATER: '0.8' })
  await makeRun(here, 1, 3000)
  for (const run of [2, 3]) await onlyOnTape(here, tape, run, 3000)
  await recall(2)
  await expect(recall(3)).rejects.toThrow(
    'the store has no room: it holds 3.00 kB of at most 8.00 kB, and with this request 6.00 kB are to come from tape',
  )
  await recall(3, { exceed: true })
  expect(await recalls()).toEqual([2, 3])
})

test('requests are forgotten when no budget counts them any more', async () => {
  await start({ CYGNET_RECALL_BYTES_PER_DAY: '5000' })
  await onlyOnTape(here, tape, 1, 2000)
  await recall(1)
  const requests = () => context.database.selectFrom('recallRequests').selectAll().execute()
  await advanceRecalls(here, signal, here.log)
  expect(await requests()).toMatchObject([{ subject: 'person:ana', tag: 'LNGS', sizeBytes: 2000 }])
  clockMs += 49 * HOUR
  await advanceRecalls(here, signal, here.log)
  expect(await requests()).toEqual([])
})

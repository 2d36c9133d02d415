import type { SQSRecord } from 'aws-lambda'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createHandler } from '../../../functions/recall-run/handler.ts'
import { requestRecall } from '../../../shared/copies/recall/request.ts'
import { signal } from '../../support/context.ts'
import { type RecallTape, recallTape } from '../../support/recall-tape.ts'
import { bytesInStore, onlyOnTape, replicaOf } from '../../support/recalled-runs.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'

let context: TestTapeContext
let here: TestTapeContext
let tape: RecallTape
let number = 700
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => {
  number++
  tape = recallTape()
  here = { ...context, tape }
  await context.drain('recall-requests')
})

const handle = (...bodies: readonly string[]) => {
  const Records = bodies.map((body, index) => ({ messageId: `m${index}`, body }) as SQSRecord)
  return createHandler(here)({ Records }, { signal, log: here.log })
}
const ask = () =>
  requestRecall(here, { runNumber: number }, { days: 7, requestedBy: 'test' }, new Date(), signal)

test('the message that a request sends brings the file back; delivered again it does nothing', async () => {
  const run = await onlyOnTape(here, tape, number)
  await ask()
  const [message] = await context.drain('recall-requests')
  const body = JSON.stringify(message)
  expect(await handle(body)).toEqual({ batchItemFailures: [] })
  expect((await bytesInStore(here, run.key))?.equals(run.bytes)).toBe(true)
  expect(await handle(body, body)).toEqual({ batchItemFailures: [] })
  expect(tape.calls).toEqual(['stage anew', 'stage request-1', 'read'])
})

test('a recall that takes longer is left to the schedule, and its message is acknowledged', async () => {
  const run = await onlyOnTape(here, tape, number)
  tape.checksUntilOnline = 5
  await ask()
  const [message] = await context.drain('recall-requests')
  expect(await handle(JSON.stringify(message))).toEqual({ batchItemFailures: [] })
  expect(await replicaOf(here, run, 'recall')).toMatchObject({
    state: 'staging',
    nextAttemptAt: expect.any(Date),
  })
})

test('a message is acknowledged although the due recalls cannot be advanced', async () => {
  await onlyOnTape(here, tape, number)
  await ask()
  const [message] = await context.drain('recall-requests')
  const { log, lines } = recordingLog()
  const { tape: settings, ...config } = here.config
  const broken = {
    ...here,
    config: {
      ...config,
      get tape(): typeof settings {
        throw new Error('no')
      },
    },
  }
  const records = { Records: [{ messageId: 'm0', body: JSON.stringify(message) } as SQSRecord] }
  expect(await createHandler(broken)(records, { signal, log })).toEqual({ batchItemFailures: [] })
  expect(lines).toContainEqual(expect.objectContaining({ event: 'recalls-not-fetched', level: 'error' }))
})

test.each([
  ['not JSON', '{'],
  ['not an object', '[]'],
  [
    'without a row',
    '{"request":"recall:1:1","tag":"LNGS","runNumber":1,"bucket":"b","key":"k","sizeBytes":1}',
  ],
  [
    'with a row that is not there',
    '{"request":"recall:1:1","replicaId":987654,"tag":"LNGS","runNumber":1,"bucket":"b","key":"k","sizeBytes":1}',
  ],
])('a message that is %s is returned and becomes a dead letter, without delaying others', async (_, bad) => {
  const run = await onlyOnTape(here, tape, number)
  await ask()
  const [good] = await context.drain('recall-requests')
  expect(await handle(bad, JSON.stringify(good))).toEqual({ batchItemFailures: [{ itemIdentifier: 'm0' }] })
  expect(await replicaOf(here, run, 'recall')).toMatchObject({ state: 'present' })
})

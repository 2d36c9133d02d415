import type { SQSRecord } from 'aws-lambda'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHandler } from '../../../functions/request-tape-copy/handler.ts'
import { createHandler as createTracker } from '../../../functions/track-tape/handler.ts'
import { createLogger } from '../../../shared/log.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { signal } from '../../support/context.ts'
import {
  type CataloguedObject,
  startTestTapeContext,
  type TestTapeContext,
} from '../../support/tape-context.ts'

const invocation = { signal, log: createLogger({ function: 'test', level: 'silent' }) }
let context: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context?.close())

const message = (messageId: string, body: unknown) =>
  ({ messageId, body: typeof body === 'string' ? body : JSON.stringify(body) }) as SQSRecord
const requestFor = (object: CataloguedObject, changes: object = {}) => ({
  request: 'tape:test',
  tag: object.tag,
  runNumber: object.runNumber,
  bucket: context.bucket,
  key: object.object.key,
  sha256: object.sha256,
  priority: 'live',
  ...changes,
})
const copiesOf = (key: string) =>
  context.database
    .selectFrom('copies')
    .selectAll()
    .where('objectKey', '=', key)
    .where('kind', '=', 'tape')
    .execute()

test('a request becomes a verified copy, and the same request again changes nothing', async () => {
  const object = await context.putRun('LNGS/run00001.mid.gz', 'one')
  const handler = createHandler(context)
  for (let times = 0; times < 2; times++)
    expect(await handler({ Records: [message('a', requestFor(object))] }, invocation)).toEqual({
      batchItemFailures: [],
    })
  expect(await copiesOf('LNGS/run00001.mid.gz')).toMatchObject([{ state: 'on-media', sha256: object.sha256 }])
})

test('a request that cannot be parsed, or names unknown contents, fails alone and becomes a dead letter', async () => {
  const object = await context.putRun('LNGS/run00002.mid.gz', 'two')
  const Records = [
    message('malformed', '{"tag": 3}'),
    message('good', requestFor(object)),
    message('unknown', requestFor(object, { sha256: 'e'.repeat(64) })),
  ]
  const { batchItemFailures } = await createHandler(context)({ Records }, invocation)
  expect(batchItemFailures.map((failure) => failure.itemIdentifier)).toEqual(['malformed', 'unknown'])
  expect(await copiesOf('LNGS/run00002.mid.gz')).toMatchObject([{ state: 'on-media' }])
})

test('without a tape endpoint a request is dropped, and the schedule requests the copy once there is one', async () => {
  const object = await context.putRun('LNGS/run00003.mid.gz', 'three')
  const homeless = createHandler({ ...context, tape: null })
  expect(await homeless({ Records: [message('a', requestFor(object))] }, invocation)).toEqual({
    batchItemFailures: [],
  })
  expect(await copiesOf('LNGS/run00003.mid.gz')).toEqual([])
  const tomorrow = { ...context, now: () => new Date(Date.now() + 86_400_000) }
  await createTracker(tomorrow)(scheduledEvent('track-tape', new Date()), invocation)
  expect(await copiesOf('LNGS/run00003.mid.gz')).toMatchObject([
    { state: 'on-media', priority: 'backlog', requestedBy: 'sweep' },
  ])
})

test('a file whose message is lost has its copy within a minute, before the catalogue is compared as a whole', async () => {
  let minutes = 0
  const now = () => new Date(Date.now() + minutes * 60_000)
  const tracker = createTracker({ ...context, now })
  const beat = () => tracker(scheduledEvent('track-tape', now()), invocation)
  await beat()
  const key = 'LNGS/run00004.mid.gz'
  await context.putRun(key, 'four')
  await beat()
  // Its message may still come.
  expect(await copiesOf(key)).toEqual([])
  minutes = 1
  await beat()
  expect(await copiesOf(key)).toMatchObject([{ state: 'on-media' }])
})

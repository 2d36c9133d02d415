/** Cases in which a run would be shown wrong, forgotten or tried for ever if one line were missing. */
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { runFileBytes } from '../../../cli/simulate/write.ts'
import { createHandler } from '../../../functions/extract-metadata/handler.ts'
import { createHandler as createReconcile } from '../../../functions/reconcile/handler.ts'
import { createHandler as createTracker } from '../../../functions/track-arrivals/handler.ts'
import { findArrival } from '../../../shared/catalogue/arrivals.ts'
import { findLiveFile } from '../../../shared/catalogue/runs.ts'
import type { Context } from '../../../shared/context.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import { reconcile } from '../../../shared/ingest/reconcile.ts'
import { alerts } from '../../../shared/messages/alerts.ts'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import { findRuns } from '../../../shared/queries/runs.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { addRequests } from '../../../shared/work/outbox.ts'
import { ATTEMPTS_BEFORE_FAILING } from '../../../shared/work/retry-policy.ts'
import { drainRaised } from '../../support/alerts.ts'
import { record } from '../../support/catalogue.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'

let context: TestContext
beforeAll(async () => {
  context = await startTestContext()
})
afterAll(() => context.close())

let run = 100
let key: string
beforeEach(async () => {
  run += 1
  key = `LNGS/run00${run}.mid.gz`
  for (const queue of ['tape-requests', 'reco-requests', 'alerts', 'runs'] as const)
    await context.drain(queue)
})

const content = (seed: number) =>
  runFileBytes({ runNumber: run, seed, camera: 32, events: 12, digitizers: false })
const process = (arrival: ObjectArrival, on: Context<'database' | 'queues' | 's3'> = context) =>
  processArrival(on, arrival, signal, context.log)
/** The context with a store whose requests of one kind fail. */
const refusing = (kind: string): Context<'database' | 'queues' | 's3'> => {
  const send = (command: { constructor: { name: string } }) =>
    command.constructor.name === kind
      ? Promise.reject(new Error('refused'))
      : context.s3.send(command as never)
  return { ...context, s3: { send } as never }
}

test('content that is put back after another is requested on tape and for reconstruction again', async () => {
  const [one, two] = [await content(1), await content(2)]
  for (const bytes of [one, two, one]) await process(await context.put(key, bytes))
  expect(await context.drain('tape-requests')).toHaveLength(3)
  expect(await context.drain('reco-requests')).toHaveLength(3)
})

test('an object that cannot be described is counted, becomes failed and is alerted', async () => {
  const arrival = await context.put(key, await content(1))
  for (let attempt = 1; attempt < ATTEMPTS_BEFORE_FAILING; attempt++)
    expect(await process(arrival, refusing('HeadObjectCommand'))).toBe('deferred')
  expect(await process(arrival, refusing('HeadObjectCommand'))).toBe('failed')
  expect(await findArrival(context.database, arrival)).toMatchObject({
    state: 'failed',
    attempts: ATTEMPTS_BEFORE_FAILING,
    reason: expect.stringContaining('refused'),
  })
  expect(await drainRaised(context)).toEqual([
    expect.objectContaining({ rule: 'arrival-failed', runNumber: run }),
  ])
  expect(await process(arrival)).toBe('catalogued')
})

test('an older version that is read slowly is not catalogued after the newer one was catalogued and deleted', async () => {
  const old = await context.put(key, await content(1))
  let once = true
  const send = async (command: { constructor: { name: string } }) => {
    const answer = await context.s3.send(command as never)
    if (command.constructor.name !== 'GetObjectCommand' || !once) return answer
    once = false
    const body = await (
      answer as { Body: { transformToByteArray(): Promise<Uint8Array> } }
    ).Body.transformToByteArray()
    expect(await process(await context.put(key, await content(2)))).toBe('catalogued')
    await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: key }))
    return { ...(answer as object), Body: [body] }
  }
  await process(old, { ...context, s3: { send } as never })
  expect((await findLiveFile(context.database, { bucket: context.bucket, key }))?.etag).not.toBe(old.etag)
})

test('an object whose readers die without recording an outcome is failed and alerted, not announced for ever', async () => {
  const arrival = await context.put(key, await content(1))
  await reconcile(context, { bucket: context.bucket, prefix: key, graceSeconds: 0 }, signal)
  await context.drain('runs')
  await sql`UPDATE arrivals SET state = 'processing', attempts = ${ATTEMPTS_BEFORE_FAILING}, lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE
    WHERE object_key = ${key}`.execute(context.database)
  expect(
    await reconcile(context, { bucket: context.bucket, prefix: key, graceSeconds: 0 }, signal),
  ).toMatchObject({ announced: 0 })
  expect(await process(arrival)).toBe('failed')
  expect(await drainRaised(context)).toEqual([expect.objectContaining({ rule: 'arrival-failed' })])
})

test('the earlier attempts at a finished version do not count when it is read again', async () => {
  const [one, two] = [await content(1), await content(2)]
  for (let time = 0; time < ATTEMPTS_BEFORE_FAILING; time++)
    for (const bytes of [one, two]) await process(await context.put(key, bytes))
  const arrival = await context.put(key, one)
  expect(await process(arrival, refusing('GetObjectCommand'))).toBe('deferred')
  expect(await findArrival(context.database, arrival)).toMatchObject({ state: 'received', attempts: 1 })
})

test('a message that cannot be parsed, however deeply nested, is kept and not delivered again', async () => {
  const Records = [{ messageId: '0', body: `${'['.repeat(60_000)}${']'.repeat(60_000)}` }]
  expect(await createHandler(context)({ Records } as never, { signal, log: context.log })).toEqual({
    batchItemFailures: [],
  })
  expect(await drainRaised(context)).toEqual([expect.objectContaining({ rule: 'parked-notification' })])
})

test('a request that can never be sent delays neither the others nor the listing', async () => {
  await context.put(key, await content(1))
  const { request: _, ...body } = JSON.parse(alerts.example)
  const old = new Date(Date.now() - 3_600_000)
  await addRequests(
    context.database,
    [
      { name: 'too-big', queue: 'alerts', runId: null, body: { ...body, summary: 'x'.repeat(1_100_000) } },
      { name: 'fits', queue: 'alerts', runId: null, body },
    ],
    old,
  )
  expect(
    await reconcile(context, { bucket: context.bucket, prefix: key, graceSeconds: 0 }, signal),
  ).toMatchObject({
    announced: 1,
    finished: true,
  })
  const tracked = createTracker(context)(scheduledEvent('track-arrivals', new Date()), {
    signal,
    log: context.log,
  })
  await expect(tracked).rejects.toThrow()
  expect((await drainRaised(context)).map((message) => message.request)).toContain('fits')
  await sql`DELETE FROM outbox WHERE name = 'too-big'`.execute(context.database)
})

test('a bucket that cannot be listed does not prevent the reconciliation of others', async () => {
  const config = {
    ...context.config,
    store: { ...context.config.store, rawBuckets: ['no-such-bucket', context.bucket] },
  }
  await expect(
    createReconcile({ ...context, config })({} as never, { signal, log: context.log }),
  ).rejects.toThrow()
  const place = await context.database
    .selectFrom('reconciliations')
    .select('finishedAt')
    .where('bucket', '=', context.bucket)
    .where('prefix', '=', '')
    .executeTakeFirst()
  expect(place?.finishedAt).toBeInstanceOf(Date)
})

test('with the same key in two raw buckets, reconstruction is requested for the current file', async () => {
  const problem = { code: 'x', message: 'cut', offset: 1 }
  await record(
    context.database,
    { ...versionOf(key, 'cut'), bucket: 'bucket-a' },
    metadataOf(run, { complete: false, problem }),
  )
  const recorded = await record(
    context.database,
    { ...versionOf(key, 'whole'), bucket: 'bucket-b' },
    metadataOf(run),
  )
  const reco =
    recorded.kind === 'recorded'
      ? recorded.requests.find((request) => request.queue === 'reco-requests')
      : undefined
  expect(reco?.body.files).toEqual([expect.objectContaining({ bucket: 'bucket-b' })])
})

test('subruns make one run in whatever order they arrive, also when one has no ODB dump', async () => {
  const drop = (subrun: number, startedAt: number | null) =>
    record(
      context.database,
      versionOf(`LNGS/run00${run}sub000${subrun}.mid.gz`, `e${subrun}`),
      metadataOf(run, { subrun, startedAt, stoppedAt: subrun === 1 ? 2000 : null }, `${subrun}`),
    )
  await drop(1, null)
  await drop(0, 1000)
  expect(await findRuns(context.database, { runNumber: run })).toEqual([
    expect.objectContaining({ fileCount: 2, complete: true, startedEpoch: 1000 }),
  ])
})

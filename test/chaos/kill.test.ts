/**
 * Every dropped run is catalogued once, whatever dies: the running function is killed repeatedly, notifications are
 * lost, doubled and shuffled, the database is killed. The result is compared with that of an undisturbed pass.
 *
 * @module-tag long
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../cli/simulate/write.ts'
import { announce, reconcile } from '../../shared/ingest/reconcile.ts'
import { listObjects } from '../../shared/storage/objects.ts'
import { eventually, startTestStack, type TestStack } from '../support/stack.ts'
import { LONGEST_STACK_WAIT_MS } from '../support/waiting.ts'

const RUNS = 24
const { signal } = new AbortController()
let stack: TestStack
beforeAll(async () => {
  stack = await startTestStack({ notifications: false, environment: { CYGNET_LEASE_SECONDS: '4' } })
})
afterAll(() => stack.close())

const bytesOf = (runNumber: number) =>
  runFileBytes({ runNumber, seed: runNumber, camera: 128, events: 40, digitizers: false })
const keyOf = (runNumber: number) => `LNGS/run${String(runNumber).padStart(5, '0')}.mid.gz`

async function catalogued(from: number) {
  return await stack.context.database
    .selectFrom('runs')
    .innerJoin('runFiles', 'runFiles.runId', 'runs.id')
    .select(['runNumber', 'runs.complete', 'runs.eventCount', 'md5', 'runFiles.sizeBytes'])
    .where('runNumber', '>=', from)
    .where('runNumber', '<', from + RUNS)
    .where('isLive', '=', true)
    .where('isCurrent', '=', true)
    .orderBy('runNumber')
    .execute()
}

/** The contents of the catalogue, without the values that differ between two hundreds of run numbers. */
const shape = (rows: Awaited<ReturnType<typeof catalogued>>) =>
  rows.map((row) => ({ complete: row.complete, events: row.eventCount }))

/** The unfinished work, for the message of a failing test. */
async function unfinished(): Promise<string> {
  const rows = await stack.context.database
    .selectFrom('arrivals')
    .select(['objectKey', 'state', 'attempts', 'reason', 'leaseUntil', 'announcedAt'])
    .where('state', '!=', 'done')
    .execute()
  const depths = await Promise.all(
    (['runs', 'runs-dead'] as const).map((queue) => stack.context.queues.depth(queue, signal)),
  )
  return JSON.stringify({ rows, depths })
}

async function allDone(from: number) {
  await eventually(
    async () => `every run is catalogued: ${await unfinished()}`,
    async () => {
      const open = await stack.context.database
        .selectFrom('arrivals')
        .select('id')
        .where('state', 'in', ['received', 'processing'])
        .execute()
      return (await catalogued(from)).length === RUNS && open.length === 0
    },
    LONGEST_STACK_WAIT_MS,
  )
  return await catalogued(from)
}

async function drop(from: number) {
  for (let run = from; run < from + RUNS; run++) await stack.put(keyOf(run), await bytesOf(run))
}

async function announceAll(from: number, order: (runs: number[]) => number[]) {
  const { objects } = await listObjects(
    stack.context.s3,
    { bucket: stack.bucket, prefix: 'LNGS/', startAfter: null },
    signal,
  )
  for (const run of order(Array.from({ length: RUNS }, (_, index) => from + index)))
    await announce(
      stack.context,
      objects.filter((object) => object.key === keyOf(run)),
      'reconcile',
      signal,
    )
}

describe('an object dropped is catalogued', () => {
  test('every dropped object is catalogued without a disturbance', async () => {
    await drop(1000)
    await announceAll(1000, (runs) => runs)
    expect((await allDone(1000)).every((run) => run.complete)).toBe(true)
  })

  test('every dropped object is catalogued although the function is killed repeatedly', async () => {
    await drop(2000)
    await announceAll(2000, (runs) => runs)
    for (let kills = 0; kills < 6; kills++) {
      const pid = stack.pid('extract-metadata')
      await eventually(
        'it works',
        async () =>
          (await stack.context.database
            .selectFrom('arrivals')
            .select('id')
            .where('state', '=', 'processing')
            .executeTakeFirst()) ?? (await catalogued(2000)).length === RUNS,
      )
      process.kill(pid, 'SIGKILL')
      await eventually('it is back', async () => stack.pid('extract-metadata') !== pid)
    }
    expect(shape(await allDone(2000))).toEqual(shape(await catalogued(1000)))
  })

  test('every dropped object is catalogued although notifications are lost, doubled and shuffled', async () => {
    await drop(3000)
    const shuffled = (runs: number[]) => runs.toSorted((a, b) => ((a * 7919) % 101) - ((b * 7919) % 101))
    await announceAll(3000, (runs) => shuffled([...runs, ...runs, ...runs]).filter((run) => run % 10 !== 3))
    await eventually(
      async () => `those announced are there: ${await unfinished()}`,
      async () => (await catalogued(3000)).length >= RUNS - 3,
    )
    await reconcile(stack.context, { bucket: stack.bucket, prefix: '', graceSeconds: 0 }, signal)
    expect(shape(await allDone(3000))).toEqual(shape(await catalogued(1000)))
  })

  test('every dropped object is catalogued although the database is killed during writes', async () => {
    await drop(4000)
    await announceAll(4000, (runs) => runs)
    await eventually('some are there', async () => (await catalogued(4000)).length > 2)
    process.kill(stack.pid('mariadb'), 'SIGKILL')
    expect(shape(await allDone(4000))).toEqual(shape(await catalogued(1000)))
  })

  test('every following request was made once for each run', async () => {
    const made = await stack.context.database
      .selectFrom('outbox')
      .select(['queue', 'sentAt'])
      .where('queue', '=', 'tape-requests')
      .execute()
    expect(made).toHaveLength(4 * RUNS)
    await eventually(
      'all are sent',
      async () =>
        (await stack.context.database.selectFrom('outbox').select('id').where('sentAt', 'is', null).execute())
          .length === 0,
    )
  })
})

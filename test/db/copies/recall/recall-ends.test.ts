/** All endings of recalls: nothing is left behind, failures are alerted, and no request is lost. */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findRecall } from '../../../../shared/catalogue/recalls.ts'
import { recallTask } from '../../../../shared/copies/recall/recall.ts'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { temporaryOf } from '../../../../shared/copies/recall/temporary.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { createMultipart, listUploads } from '../../../../shared/storage/multipart.ts'
import { listObjects } from '../../../../shared/storage/objects.ts'
import { pause } from '../../../../shared/time/pause.ts'
import { advanceNext } from '../../../../shared/work/advance.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { signal } from '../../../support/context.ts'
import type { RecallTape } from '../../../support/recall-tape.ts'
import {
  bytesInStore,
  deleteFromStore,
  onlyOnTape,
  replicaOf,
  setState,
  type TestRun,
} from '../../../support/recalled-runs.ts'
import { advanceRecall, freshRecalls, shownRecall, taskOfRecall } from '../../../support/recalls.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const HOUR = 3_600_000

let context: TestTapeContext
let tape: RecallTape
let clockMs: number
let number = 100
let here: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => {
  number++
  clockMs = Date.now()
  ;({ tape, here } = await freshRecalls(context, () => clockMs))
})

const ask = async (): Promise<number> => {
  const choice = { runNumber: number, tag: 'LNGS' }
  const request = { days: 7, requestedBy: 'a shifter' }
  const { files } = await requestRecall(here, choice, request, here.now(), signal)
  return files[0]?.replicaId ?? 0
}
const advance = (id: number, on = here) => advanceRecall(on, id, signal, on.log)
const row = (id: number) => shownRecall(context.database, id)
const alerts = async () => (await drainRaised(context)).map(({ rule }) => rule)
const pastDeadline = () => {
  clockMs += context.config.recall.hours * HOUR
}
const left = async ({ key }: TestRun) => ({
  objects: (
    await listObjects(context.s3, { bucket: context.bucket, prefix: 'TMP/', startAfter: null }, signal)
  ).objects.map((object) => object.key),
  uploads: (await listUploads(context.s3, { bucket: context.bucket, key }, signal)).length,
})
const NOTHING = { objects: [], uploads: 0 }

describe('at its deadline a recall is given up and alerted once, and its staged file is released', () => {
  test('although its check fails', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.checksUntilOnline = 1000
    const id = await ask()
    expect(await advance(id)).toBe('staging')
    tape.stage = () => Promise.reject(new TransientError('no answer'))
    pastDeadline()
    expect(await advance(id)).toBe('failed')
    expect(await row(id)).toMatchObject({
      nextAttemptAt: null,
      reference: null,
      lastError: 'it was not done in time: no answer',
    })
    expect(await alerts()).toEqual(['recall-failed'])
    expect(tape.released).toEqual([`${context.bucket}/${run.key} request-1`])
  })

  test('although its function died repeatedly, during an upload and after the endpoint had sent the file', async () => {
    const run = await onlyOnTape(here, tape, number)
    const id = await ask()
    const object = { bucket: context.bucket, key: run.key, metadata: {}, replace: false }
    const { uploadId: upload } = await createMultipart(context.s3, object, signal)
    const recall = await findRecall(context.database, id)
    await context.put(recall === null ? '' : temporaryOf(recall).key, run.bytes)
    await context.database
      .updateTable('tasks')
      .set({
        state: 'running',
        attempts: 8,
        leaseOwner: 'dead',
        leaseUntil: sql<Date>`UTC_TIMESTAMP(3) - INTERVAL 1 SECOND`,
        reference: JSON.stringify({ stage: 'request-1', upload }),
      })
      .execute()
    pastDeadline()
    expect(await advance(id)).toBe('failed')
    expect(await row(id)).toMatchObject({ nextAttemptAt: null, lastError: expect.stringContaining('died') })
    expect(await alerts()).toEqual(['recall-failed'])
    expect(await left(run)).toEqual(NOTHING)
    expect(tape.released).toEqual([`${context.bucket}/${run.key} request-1`])
    expect((await taskOfRecall(context.database, id))?.reference).toBeNull()
  })

  test('also when the deadline passes while the file is read', async () => {
    const run = await onlyOnTape(here, tape, number)
    const id = await ask()
    tape.meanwhile = () => {
      pastDeadline()
      return Promise.reject(new TransientError('the line broke'))
    }
    expect(await advance(id)).toBe('failed')
    expect(await row(id)).toMatchObject({ nextAttemptAt: null })
    expect(await alerts()).toEqual(['recall-failed'])
    expect(await left(run)).toEqual(NOTHING)
    expect(tape.released).toEqual([`${context.bucket}/${run.key} request-1`])
  })

  test('also without a tape endpoint: what the recall left in the store is deleted', async () => {
    const run = await onlyOnTape(here, tape, number)
    const id = await ask()
    const recall = await findRecall(context.database, id)
    await context.put(recall === null ? '' : temporaryOf(recall).key, run.bytes)
    pastDeadline()
    expect(await advanceRecall({ ...here, tape: null }, id, signal, here.log)).toBe('failed')
    expect(await alerts()).toEqual(['recall-failed'])
    expect(await left(run)).toEqual(NOTHING)
  })
})

test('an upload that cannot be aborted when a recall ends is aborted when the recall is requested again', async () => {
  const run = await onlyOnTape(here, tape, number)
  const id = await ask()
  const object = { bucket: context.bucket, key: run.key, metadata: {}, replace: false }
  const { uploadId: upload } = await createMultipart(context.s3, object, signal)
  await context.database
    .updateTable('tasks')
    .set({ reference: JSON.stringify({ upload }) })
    .execute()
  const s3 = new Proxy(here.s3, {
    get: (of, name) =>
      name === 'send' ? () => Promise.reject(new Error('the store is down')) : Reflect.get(of, name),
  })
  pastDeadline()
  expect(await advance(id, { ...here, s3 })).toBe('failed')
  expect(await row(id)).toMatchObject({ nextAttemptAt: null })
  expect(await left(run)).toEqual({ objects: [], uploads: 1 })
  await ask()
  await context.database.deleteFrom('breakers').execute()
  expect(await advance(id)).toBe('present')
  expect(await left(run)).toEqual(NOTHING)
})

describe('the copy on tape of a recall that is given up', () => {
  test('is verified beyond the time limit of the attempt', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.files.clear()
    const { check } = tape
    tape.check = async (...asked) => {
      await pause(1200, asked[2])
      return await check(...asked)
    }
    const { config } = here
    const on = { ...here, config: { ...config, tape: { ...config.tape, copySeconds: 1 } } }
    const id = await ask()
    expect(await advance(id, on)).toBe('failed')
    expect(await row(id)).toMatchObject({ nextAttemptAt: null, lastError: expect.stringContaining('has no') })
    expect(await replicaOf(here, run, 'tape')).toMatchObject({ state: 'missing' })
  })
})

describe('a request for a file that came into the store and left it, while its earlier recall still waits', () => {
  const intoStore = async (run: TestRun) => {
    await context.put(run.key, run.bytes)
    const cloud = await replicaOf(context, run, 'cloud')
    await setState(context, cloud?.id ?? 0, 'deleted', 'present')
  }

  test('is not lost', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.checksUntilOnline = 1
    const id = await ask()
    expect(await advance(id)).toBe('staging')
    await intoStore(run)
    await ask()
    expect(await row(id)).toMatchObject({ state: 'present' })
    await deleteFromStore(here, run)
    await ask()
    expect(await row(id)).toMatchObject({ state: 'staging' })
    clockMs += HOUR
    expect(await advance(id)).toBe('present')
    expect((await bytesInStore(here, run.key))?.equals(run.bytes)).toBe(true)
  })

  test('is not lost although it comes at the moment when the earlier recall ends', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.checksUntilOnline = 1
    const id = await ask()
    await advance(id)
    await intoStore(run)
    await ask()
    const asking: typeof recallTask = {
      ...recallTask,
      async beforeEnd(...ended) {
        await recallTask.beforeEnd?.(...ended)
        await deleteFromStore(here, run)
        await ask()
      },
    }
    clockMs += HOUR
    const dependency = (await taskOfRecall(context.database, id))?.dependency ?? ''
    const options = { dependency, turn: { of: 'pending' }, limitSeconds: 60 } as const
    await advanceNext(here, asking, options, signal, here.log)
    expect(await row(id)).toMatchObject({ state: 'staging' })
    clockMs += HOUR
    expect(await advance(id)).toBe('present')
    expect((await bytesInStore(here, run.key))?.equals(run.bytes)).toBe(true)
  })
})

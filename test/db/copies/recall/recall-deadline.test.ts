/** Recalls that are slow, stopped or requested again around their deadline. */
import { AbortMultipartUploadCommand, DeleteObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { findRecall } from '../../../../shared/catalogue/recalls.ts'
import { recallTask } from '../../../../shared/copies/recall/recall.ts'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { sweepTemporaries } from '../../../../shared/copies/recall/sweep-temporaries.ts'
import { temporaryOf } from '../../../../shared/copies/recall/temporary.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { createMultipart } from '../../../../shared/storage/multipart.ts'
import { listObjects } from '../../../../shared/storage/objects.ts'
import { advanceNext } from '../../../../shared/work/advance.ts'
import { noteSuccess } from '../../../../shared/work/breaker.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { signal } from '../../../support/context.ts'
import type { RecallTape } from '../../../support/recall-tape.ts'
import { onlyOnTape, replicaOf } from '../../../support/recalled-runs.ts'
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

const request = async (): Promise<number> => {
  const choice = { runNumber: number, tag: 'LNGS' }
  const { files } = await requestRecall(here, choice, { days: 7, requestedBy: 'test' }, here.now(), signal)
  return files[0]?.replicaId ?? 0
}
const advance = (id: number, until = signal) => advanceRecall(here, id, until, here.log)
const row = (id: number) => shownRecall(context.database, id)
const alerts = async () => (await drainRaised(context)).map(({ rule }) => rule)
const pastDeadline = () => {
  clockMs += context.config.recall.hours * HOUR
}
const deadline = async (id: number) => (await taskOfRecall(context.database, id))?.deadlineAt
/** Never answers. */
const hang = (until: AbortSignal) =>
  new Promise<never>((_, reject) => until.addEventListener('abort', () => reject(until.reason)))

test('a recall whose function is stopped while it reads, past the deadline, is given up, alerted once and released', async () => {
  const run = await onlyOnTape(here, tape, number)
  const id = await request()
  pastDeadline()
  const stop = new AbortController()
  tape.meanwhile = async () => stop.abort()
  expect(await advance(id, stop.signal)).toBe('failed')
  expect(await row(id)).toMatchObject({ nextAttemptAt: null, reference: null })
  expect(await alerts()).toEqual(['recall-failed'])
  expect(tape.released).toEqual([`${context.bucket}/${run.key} request-1`])
})

test('a recall whose function is stopped while it verifies the copy on tape at the deadline is given up with its reason', async () => {
  const run = await onlyOnTape(here, tape, number)
  tape.checksUntilOnline = 1000
  const id = await request()
  expect(await advance(id)).toBe('staging')
  pastDeadline()
  const stop = new AbortController()
  tape.check = (_file, _options, until) => {
    const hanging = hang(until)
    stop.abort()
    return hanging
  }
  tape.stage = () => Promise.reject(new Error('no drive'))
  expect(await advance(id, stop.signal)).toBe('failed')
  expect(await row(id)).toMatchObject({ nextAttemptAt: null, lastError: expect.stringContaining('no drive') })
  expect(await alerts()).toEqual(['recall-failed'])
  expect(tape.released).toEqual([`${context.bucket}/${run.key} request-1`])
  expect((await taskOfRecall(context.database, id))?.reference).toBeNull()
})

test('a copy on tape that cannot be read within a minute at the end of a recall keeps its state', async () => {
  const run = await onlyOnTape(here, tape, number)
  tape.checksUntilOnline = 1000
  const id = await request()
  expect(await advance(id)).toBe('staging')
  pastDeadline()
  tape.check = (_file, _options, until) => hang(until)
  const { timeout } = AbortSignal
  const shorter = vi
    .spyOn(AbortSignal, 'timeout')
    .mockImplementation((ms) => timeout(ms === 60_000 ? 50 : ms))
  try {
    expect(await advance(id)).toBe('failed')
  } finally {
    shorter.mockRestore()
  }
  expect(await alerts()).toEqual(['recall-failed'])
  expect(await replicaOf(here, run, 'tape')).toMatchObject({ state: 'on-media' })
})

test('a repeated request extends the deadline of a recall in progress', async () => {
  await onlyOnTape(here, tape, number)
  tape.checksUntilOnline = 1000
  const id = await request()
  expect(await advance(id)).toBe('staging')
  clockMs += context.config.recall.hours * HOUR - 60_000
  await request()
  expect(await deadline(id)).toEqual(new Date(clockMs + context.config.recall.hours * HOUR))
  clockMs += 60_000
  expect(await advance(id)).toBe('staging')
  expect(await alerts()).toEqual([])
  pastDeadline()
  expect(await advance(id)).toBe('failed')
  expect(await alerts()).toEqual(['recall-failed'])
})

test('a request that is repeated during the last attempt before the deadline extends it', async () => {
  await onlyOnTape(here, tape, number)
  const id = await request()
  clockMs += context.config.recall.hours * HOUR - 60_000
  tape.meanwhile = async () => {
    await request()
    clockMs += 60_000
    throw new TransientError('the line broke')
  }
  await advance(id)
  expect(await row(id)).toMatchObject({ lastError: 'the line broke', attempts: 1 })
  expect((await row(id)).nextAttemptAt).not.toBeNull()
  expect(await alerts()).toEqual([])
})

test('a file that is requested again at the moment when its recall ends, past the deadline, is fetched', async () => {
  await onlyOnTape(here, tape, number)
  const id = await request()
  // It came into the store in another way, and left it again.
  await context.database.updateTable('recalls').set({ state: 'present' }).where('id', '=', id).execute()
  pastDeadline()
  const requesting: typeof recallTask = {
    ...recallTask,
    async beforeEnd(...ended) {
      await recallTask.beforeEnd?.(...ended)
      await request()
    },
  }
  const dependency = (await taskOfRecall(context.database, id))?.dependency ?? ''
  const options = { dependency, turn: { of: 'due', mostAtOnce: 9 }, limitSeconds: 60 } as const
  const end = await advanceNext(here, requesting, options, signal, here.log)
  expect(end?.ending.kind).toBe('busy')
  expect(await taskOfRecall(context.database, id)).toMatchObject({ state: 'waiting', attempts: 0 })
  expect(await alerts()).toEqual([])
  clockMs += 60_000
  expect(await advance(id)).toBe('present')
})

test('a recall that could not be tried before its deadline is given up with the last error of the endpoint', async () => {
  await onlyOnTape(here, tape, number)
  await context.database
    .insertInto('breakers')
    .values({ dependency: `tape-read:${tape.endpoint}`, lastError: 'connection refused' })
    .execute()
  tape.checksUntilOnline = 1000
  const id = await request()
  pastDeadline()
  expect(await advance(id)).toBe('failed')
  expect(await row(id)).toMatchObject({ lastError: 'it was not done in time: connection refused' })
})

test('a file that came into the store in the last attempt is found although the attempt failed', async () => {
  const run = await onlyOnTape(here, tape, number)
  const id = await request()
  pastDeadline()
  tape.read = async function* () {
    yield run.bytes.subarray(0, 1)
    await context.put(run.key, run.bytes)
    throw new TransientError('the connection was lost')
  }
  expect(await advance(id)).toBe('present')
  expect(await alerts()).not.toContain('recall-failed')
})

test('the temporary object of a recall is deleted although its upload cannot be aborted', async () => {
  const run = await onlyOnTape(here, tape, number)
  const id = await request()
  const recall = await findRecall(context.database, id)
  await context.put(recall === null ? '' : temporaryOf(recall).key, run.bytes)
  const object = { bucket: context.bucket, key: run.key, metadata: {}, replace: false }
  const { uploadId: upload } = await createMultipart(context.s3, object, signal)
  await context.database
    .updateTable('tasks')
    .set({ reference: JSON.stringify({ upload }) })
    .execute()
  const s3 = new Proxy(here.s3, {
    get: (of, name) =>
      name === 'send'
        ? (command: object, ...more: unknown[]) =>
            command instanceof AbortMultipartUploadCommand
              ? Promise.reject(new Error('slow down'))
              : Reflect.apply(of.send, of, [command, ...more])
        : Reflect.get(of, name),
  })
  tape.stage = () => Promise.reject(new TransientError('no drive'))
  pastDeadline()
  expect(await advanceRecall({ ...here, s3 }, id, signal, here.log)).toBe('failed')
  const temporaries = { bucket: context.bucket, prefix: 'TMP/', startAfter: null }
  expect((await listObjects(context.s3, temporaries, signal)).objects).toEqual([])
})

test('recalls at an endpoint that is down beyond their deadline wait, with one alert, and have the time afterwards', async () => {
  const ids: number[] = []
  for (let made = 0; made < 5; made++) {
    number++
    await onlyOnTape(here, tape, number)
    ids.push(await request())
  }
  const { stage } = tape
  tape.stage = () => Promise.reject(new TransientError('connect ECONNREFUSED', { error: 'ECONNREFUSED' }))
  const beat = () => advanceRecalls(here, signal, here.log)
  const started = clockMs
  for (let beats = 0; beats < 5; beats++) {
    await beat()
    clockMs += 60_000
  }
  clockMs = started + 3 * context.config.recall.hours * HOUR
  for (let beats = 0; beats < 8; beats++) {
    await beat()
    clockMs += 60_000
  }
  expect(await alerts()).toEqual(['tape-endpoint-fails'])
  tape.stage = stage
  tape.checksUntilOnline = 1000
  for (let beats = 0; beats < 3; beats++) {
    await beat()
    clockMs += 60_000
  }
  for (const id of ids) expect(await row(id)).toMatchObject({ state: 'staging' })
  clockMs += (context.config.recall.hours - 1) * HOUR
  await beat()
  for (const id of ids) expect(await row(id)).toMatchObject({ state: 'staging' })
  expect(await alerts()).toEqual([])
  clockMs += 2 * HOUR
  await beat()
  expect(await alerts()).toEqual(ids.map(() => 'recall-failed'))
})

test('staged recalls are not checked while the store fails, and their deadline is extended by its outage', async () => {
  await onlyOnTape(here, tape, number)
  tape.checksUntilOnline = 1000
  const id = await request()
  expect(await advance(id)).toBe('staging')
  const before = await deadline(id)
  const openSince = new Date(clockMs)
  const dependency = `store:${context.bucket}`
  const probeAt = new Date(clockMs + HOUR + 30_000)
  const opened = { openSince, probeAt, failures: 3, failedStep: 'act' as const }
  await context.database.insertInto('breakers').ignore().values({ dependency }).execute()
  await context.database.updateTable('breakers').set(opened).where('dependency', '=', dependency).execute()
  clockMs += HOUR
  const calls = tape.calls.length
  await advanceRecalls(here, signal, here.log)
  expect(tape.calls).toHaveLength(calls)
  await noteSuccess(context.database, dependency, 'act', here.now())
  expect(await deadline(id)).toEqual(new Date((before?.getTime() ?? 0) + HOUR))
  await advanceRecalls(here, signal, here.log)
  expect(tape.calls.length).toBeGreaterThan(calls)
})

test('what an endpoint sends after its recall has ended is deleted when no link is valid any more', async () => {
  const run = await onlyOnTape(here, tape, number)
  const ended = await findRecall(context.database, await request())
  await advance(ended?.id ?? 0)
  number++
  await onlyOnTape(here, tape, number)
  const going = await findRecall(context.database, await request())
  if (ended === null || going === null) throw new Error('a recall is missing')
  const kept = [temporaryOf(going).key, 'TMP/recall/of-somebody-else']
  for (const key of [temporaryOf(ended).key, ...kept]) await context.put(key, run.bytes)
  clockMs += 6 * HOUR
  expect(await sweepTemporaries(here, signal)).toBe(0)
  clockMs += 2 * HOUR
  expect(await sweepTemporaries(here, signal)).toBe(1)
  const left = await listObjects(
    context.s3,
    { bucket: context.bucket, prefix: 'TMP/', startAfter: null },
    signal,
  )
  expect(left.objects.map(({ key }) => key)).toEqual(kept.toSorted())
  for (const key of kept) await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: key }))
})

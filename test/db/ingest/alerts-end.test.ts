/** Alerts about objects end with what they are about: in the transaction that catalogues or closes the object. */
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { runFileBytes } from '../../../cli/simulate/write.ts'
import type { Context } from '../../../shared/context.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import { planReplay, replay } from '../../../shared/ingest/replay.ts'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import { ATTEMPTS_BEFORE_FAILING } from '../../../shared/work/retry-policy.ts'
import { alertLines } from '../../support/alerts.ts'
import { arrivalOf, signal, startTestContext, type TestContext } from '../../support/context.ts'

let context: TestContext
beforeAll(async () => {
  context = await startTestContext()
})
afterAll(() => context.close())

let run = 300
let key: string
beforeEach(async () => {
  run += 1
  key = `LNGS/run00${run}.mid.gz`
  await context.database.deleteFrom('outbox').execute()
})

const bytes = (more: object = {}) =>
  runFileBytes({ runNumber: run, camera: 32, events: 12, digitizers: false, seed: run, ...more })
const process = (arrival: ObjectArrival, on: Context<'database' | 'queues' | 's3'> = context) =>
  processArrival(on, arrival, signal, context.log)
const put = async (body: Uint8Array | string, metadata = {}, name = key) =>
  process(await context.put(name, body, metadata))
const remove = (name = key) => context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: name }))
const lines = () => alertLines(context.database)
const both = (rule: string, name = key) => [`raise ${rule} ${name}`, `resolve ${rule} ${name}`]

test('a refused file ends as an alert when a readable one arrives in its place, and again after the next', async () => {
  await put('not MIDAS')
  await put('not MIDAS either')
  expect(await lines()).toEqual([`raise invalid-file ${key}`, `raise invalid-file ${key}`])
  await put(await bytes())
  await put('not MIDAS, the third')
  await put(await bytes())
  expect(await lines()).toEqual([
    `raise invalid-file ${key}`,
    ...both('invalid-file'),
    ...both('invalid-file'),
  ])
})

test('a wrong checksum is not mended by a file that nobody can read, only by a good one', async () => {
  await put(await bytes(), { md5: 'f'.repeat(32) })
  await put('not MIDAS')
  expect(await lines()).toEqual([`raise checksum-mismatch ${key}`, `raise invalid-file ${key}`])
  await put(await bytes({ seed: 5 }), { md5: 'e'.repeat(32) })
  expect(await lines()).toEqual([
    `raise checksum-mismatch ${key}`,
    ...both('invalid-file').toSpliced(1, 0, `raise checksum-mismatch ${key}`),
  ])
  await put(await bytes({ seed: 6 }))
  expect((await lines()).at(-1)).toBe(`resolve checksum-mismatch ${key}`)
})

test('a good file that is deleted while it is read does not end the alert about a wrong checksum', async () => {
  await put(await bytes(), { md5: 'f'.repeat(32) })
  // The store states whole seconds: the second file is to be the newer one.
  await context.database
    .updateTable('runFiles')
    .set({ lastModified: new Date(Date.now() - 60_000) })
    .where('objectKey', '=', key)
    .execute()
  let heads = 0
  const send = (command: { readonly constructor: { readonly name: string } }, ...more: unknown[]) =>
    command.constructor.name === 'HeadObjectCommand' && heads++ > 0
      ? Promise.reject(
          Object.assign(new Error('no'), { name: 'NotFound', $metadata: { httpStatusCode: 404 } }),
        )
      : (context.s3.send as (...all: unknown[]) => Promise<unknown>)(command, ...more)
  const good = await context.put(key, await bytes({ seed: 7 }))
  expect(await process(good, { ...context, s3: { send } as unknown as TestContext['s3'] })).toBe('catalogued')
  expect(heads).toBeGreaterThan(1)
  expect(await lines()).toEqual([`raise checksum-mismatch ${key}`])
})

test('an incomplete file ends as an alert when a whole one replaces it', async () => {
  const whole = await bytes()
  await put(whole.subarray(0, whole.length - 400))
  await put(whole)
  expect(await lines()).toEqual(both('incomplete-file'))
})

test('an object that was missing, and one that could not be read, end as alerts when they are catalogued', async () => {
  const arrival = await context.put(key, await bytes())
  await remove()
  expect(await process(arrival)).toBe('gone')
  const again = await context.put(key, await bytes())
  const down = {
    ...context,
    s3: { send: () => Promise.reject(Object.assign(new Error('no'), { name: 'AccessDenied' })) },
  } as unknown as TestContext
  for (let attempt = 0; attempt < ATTEMPTS_BEFORE_FAILING; attempt++) await process(again, down)
  expect((await lines()).filter((line) => line.endsWith(key))).toEqual([
    `raise object-gone ${key}`,
    `raise arrival-failed ${key}`,
  ])
  expect(await process(again)).toBe('catalogued')
  expect((await lines()).filter((line) => line.startsWith('resolve')).toSorted()).toEqual([
    `resolve arrival-failed ${key}`,
    `resolve object-gone ${key}`,
  ])
})

test('a failed arrival whose object is another version by now, or deleted, is not waited for any more', async () => {
  let seed = 0
  const failed = async () => {
    await context.database.deleteFrom('outbox').execute()
    const arrival = await context.put(key, await bytes({ seed: ++seed }))
    const refusing = {
      ...context,
      s3: { send: () => Promise.reject(new Error('no')) },
    } as unknown as TestContext
    for (let attempt = 0; attempt < ATTEMPTS_BEFORE_FAILING; attempt++) await process(arrival, refusing)
    expect((await lines()).filter((line) => line.includes('arrival-failed'))).toHaveLength(1)
    return arrival
  }
  const first = await failed()
  await put(await bytes())
  await process(first)
  expect((await lines()).filter((line) => line.startsWith('resolve'))).toEqual([
    `resolve arrival-failed ${key}`,
  ])
  const second = await failed()
  await remove()
  expect(await process(second)).toBe('gone')
  expect((await lines()).filter((line) => line.startsWith('resolve'))).toEqual([
    `resolve arrival-failed ${key}`,
  ])
})

test('misnamed and refused objects end as alerts when they were deleted and are replayed', async () => {
  const misnamed = `LNGS/Run${run}.mid.gz`
  await process(arrivalOf(context.bucket, misnamed, 'e'))
  await put('not MIDAS')
  await remove()
  for (const name of [misnamed, key]) {
    const plan = await planReplay(context, { by: 'key', bucket: context.bucket, key: name }, signal)
    await replay(context, plan, signal)
  }
  expect((await lines()).toSorted()).toEqual(
    [...both('misnamed-object', misnamed), ...both('invalid-file')].toSorted(),
  )
})

test('a file that is catalogued at once, and announced again, writes nothing about alerts', async () => {
  const arrival = await context.put(key, await bytes())
  for (let time = 0; time < 3; time++) await process(arrival)
  await put(await bytes({ seed: 9 }))
  expect(await lines()).toEqual([])
})

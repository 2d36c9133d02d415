import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../../../cli/simulate/write.ts'
import { findRecall } from '../../../../shared/catalogue/recalls.ts'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { expireRecalls } from '../../../../shared/copies/recall/schedule.ts'
import type { Reference } from '../../../../shared/database/work-schema.ts'
import { processArrival } from '../../../../shared/ingest/process-arrival.ts'
import { createMultipart, listUploads } from '../../../../shared/storage/multipart.ts'
import { describeObject, listObjects } from '../../../../shared/storage/objects.ts'
import { createDirectoryDriver } from '../../../../shared/tape/directory/directory.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { alertLines, drainRaised } from '../../../support/alerts.ts'
import { runlogRow } from '../../../support/catalogue.ts'
import { arrivalOf, signal } from '../../../support/context.ts'
import type { RecallTape } from '../../../support/recall-tape.ts'
import {
  bytesInStore,
  deleteFromStore,
  makeRun,
  onlyOnTape,
  putOnTape,
  replicaOf,
  setState,
  type TestRun,
} from '../../../support/recalled-runs.ts'
import { advanceRecall, freshRecalls, shownRecall } from '../../../support/recalls.ts'
import { memorySource } from '../../../support/tape/sources.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { until } from '../../../support/waiting.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const MULTIPART_BYTES = 18 * 1024 * 1024

let context: TestTapeContext
let tape: RecallTape
let clockMs: number
let nextRun = 100
let number: number
/** Functions of one process share a context; each test has its own tape endpoint. */
let here: TestTapeContext

beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => {
  number = nextRun++
  clockMs = Date.now()
  ;({ tape, here } = await freshRecalls(context, () => clockMs))
  await context.drain('recall-requests')
})

const ask = (runNumber = number, days = 7) =>
  requestRecall(here, { runNumber, tag: 'LNGS' }, { days, requestedBy: 'a shifter' }, here.now(), signal)
const askOne = async (days = 7): Promise<number> => (await ask(number, days)).files[0]?.replicaId ?? 0
const advance = (id: number, on = here, until = signal) => advanceRecall(on, id, until, on.log)
const row = (id: number) => shownRecall(context.database, id)
const allAlerts = () => drainRaised(context)
const alerts = async () => (await allAlerts()).filter((alert) => alert.rule === 'recall-failed')
const historyOf = async (run: TestRun) =>
  (
    await context.database.selectFrom('runHistory').select('what').where('runId', '=', run.runId).execute()
  ).map(({ what }) => what)
/** The state that a killed function leaves: an expired lease. */
const dieAt = async (
  id: number,
  change: { readonly reference?: Reference; readonly leaseUntil?: Date } = {},
) => {
  const { reference, leaseUntil = sql<Date>`UTC_TIMESTAMP(3) - INTERVAL 1 SECOND` } = change
  await context.database
    .updateTable('recalls')
    .set({ state: 'planned', verifiedAt: null, verifiedBy: null, etag: null })
    .where('id', '=', id)
    .execute()
  await context.database
    .updateTable('tasks')
    .set({
      state: 'running',
      attempts: 1,
      leaseOwner: 'dead',
      leaseUntil,
      ...(reference === undefined ? {} : { reference: JSON.stringify(reference) }),
    })
    .where('subjectId', '=', id)
    .execute()
}
const leftovers = async (key: string) => ({
  temporary: (
    await listObjects(context.s3, { bucket: context.bucket, prefix: 'TMP/', startAfter: null }, signal)
  ).objects.length,
  uploads: (await listUploads(context.s3, { bucket: context.bucket, key }, signal)).length,
})
const NOTHING_LEFT = { temporary: 0, uploads: 0 }

describe('a run that was deleted from the store', () => {
  test.each([
    ['streamed, small', false, 3000],
    ['streamed, in parts', false, MULTIPART_BYTES],
    ['sent by the endpoint itself', true, 3000],
  ])('is brought back with the same bytes under its key: %s', async (_, sends, sizeBytes) => {
    const run = await onlyOnTape(here, tape, number, sizeBytes)
    tape.sends = sends
    const id = await askOne()
    expect(await row(id)).toMatchObject({ state: 'requested', kind: 'recall', endpoint: '' })
    clockMs += 600_000
    expect(await advance(id)).toBe('present')
    expect((await bytesInStore(here, run.key))?.equals(run.bytes)).toBe(true)
    const recall = await row(id)
    expect(recall).toMatchObject({
      state: 'present',
      leaseOwner: null,
      lastError: null,
      verifiedAt: expect.any(Date),
    })
    // Seven days from when it is in the store, not from the request.
    expect(recall.expiresAt?.getTime()).toBe(clockMs + 7 * DAY)
    expect(await historyOf(run)).toEqual(
      expect.arrayContaining(['asked back from tape', 'back in the store']),
    )
    expect(tape.calls.filter((what) => what !== 'stage anew')).toEqual([sends ? 'send' : 'read'])
    expect(await leftovers(run.key)).toEqual(NOTHING_LEFT)
    const object = await describeObject(context.s3, { bucket: context.bucket, key: run.key }, signal)
    expect(object?.stated).toContainEqual({
      by: 'uploader',
      digests: { md5: run.md5, sha256: run.sha256, adler32: run.adler32 },
    })
  })

  test.each([
    ['streamed', false],
    ['sent by the endpoint', true],
  ])('is catalogued again when its object arrives, without a second run: %s', async (_, sends) => {
    const key = `LNGS/run${String(number).padStart(5, '0')}.mid.gz`
    const bytes = await runFileBytes({ runNumber: number, camera: 32, events: 12, digitizers: false })
    expect(await processArrival(here, await context.put(key, bytes), signal, here.log)).toBe('catalogued')
    const file = await context.database
      .selectFrom('runFiles')
      .selectAll()
      .where('objectKey', '=', key)
      .executeTakeFirstOrThrow()
    const run = {
      ...file,
      object: {},
      runNumber: number,
      tag: 'LNGS',
      key,
      runId: file.runId,
      bytes,
    } as unknown as TestRun
    await putOnTape(here, tape, run)
    await deleteFromStore(here, run)
    expect(await runlogRow(context.database, number)).toMatchObject({
      storage_cloud_status: 2,
      storage_tape_status: 1,
    })
    tape.sends = sends
    expect(await advance(await askOne())).toBe('present')
    expect(await processArrival(here, arrivalOf(context.bucket, key, null), signal, here.log)).toBe(
      'catalogued',
    )
    expect(await replicaOf(here, run, 'cloud')).toMatchObject({ state: 'present' })
    expect(await runlogRow(context.database, number)).toMatchObject({
      storage_cloud_status: 1,
      file_checksum: run.md5,
    })
  })

  test('is brought back from a tape folder too', async () => {
    const driver = createDirectoryDriver({ folder: context.tapeFolder })
    const on: TestTapeContext = { ...here, tape: driver }
    const run = await makeRun(on, number)
    const name = `${context.bucket}/${run.key}`
    const file = {
      name,
      sizeBytes: run.bytes.length,
      md5: run.md5,
      adler32: run.adler32,
      sha256: run.sha256,
      tag: 'LNGS',
      runNumber: number,
    }
    await driver.copy(file, memorySource(name, run.bytes), { attempt: 1 }, signal)
    await putOnTape(on, { ...tape, endpoint: driver.endpoint, url: driver.url }, run)
    await deleteFromStore(on, run)
    expect(await advance(await askOne(), on)).toBe('present')
    expect((await bytesInStore(on, run.key))?.equals(run.bytes)).toBe(true)
  })

  test('is requested with one message, which names the row', async () => {
    await onlyOnTape(here, tape, number)
    const id = await askOne()
    await askOne()
    expect(await context.drain('recall-requests')).toEqual([
      expect.objectContaining({ request: `recall:${id}:1`, replicaId: id, runNumber: number, tag: 'LNGS' }),
    ])
  })

  test('is fetched once, however many functions try at the same time', async () => {
    await onlyOnTape(here, tape, number, MULTIPART_BYTES)
    const id = await askOne()
    // The function that fetches it is paused until the others have returned.
    let answered = 0
    tape.meanwhile = () => until(() => answered === 2)
    const advanced = [1, 2, 3].map(() => advance(id).finally(() => answered++))
    expect((await Promise.all(advanced)).toSorted()).toEqual(['busy', 'busy', 'present'])
    expect(tape.calls).toEqual(['stage anew', 'read'])
    expect(await advance(id)).toBe('present')
  })
})

describe('staging', () => {
  test('takes several checks, with the reference that the endpoint gave, and none before it is due', async () => {
    await onlyOnTape(here, tape, number)
    tape.checksUntilOnline = 2
    const id = await askOne()
    expect(await advance(id)).toBe('staging')
    expect(await row(id)).toMatchObject({ state: 'staging', reference: 'request-1', leaseOwner: null })
    expect(await advance(id)).toBe('not-due')
    for (const state of ['staging', 'present']) {
      clockMs = (await row(id)).nextAttemptAt?.getTime() ?? 0
      await advanceRecalls(here, signal, here.log)
      expect((await row(id)).state).toBe(state)
    }
    // The last check is made right before the file is read.
    expect(tape.calls).toEqual(['stage anew', ...Array(3).fill('stage request-1'), 'read'])
  })

  test('that does not end fails at the deadline, is alerted, and can be requested again', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.checksUntilOnline = 1000
    const id = await askOne()
    for (let check = 0; check < 1000 && (await row(id)).state !== 'failed'; check++) {
      await advance(id)
      clockMs = (await row(id)).nextAttemptAt?.getTime() ?? clockMs
    }
    expect(clockMs).toBe((await row(id)).requestedAt.getTime() + context.config.recall.hours * HOUR)
    expect(await row(id)).toMatchObject({
      state: 'failed',
      nextAttemptAt: null,
      lastError: expect.stringContaining('in time'),
    })
    expect(await alerts()).toEqual([
      expect.objectContaining({ severity: 'error', runNumber: number, key: run.key }),
    ])
    expect(await advance(id)).toBe('failed')
    tape.checksUntilOnline = 0
    clockMs += HOUR
    expect((await ask()).files[0]).toMatchObject({ replicaId: id, state: 'requested', alreadyThere: false })
    expect(await context.drain('recall-requests')).toContainEqual(
      expect.objectContaining({ request: `recall:${id}:2` }),
    )
    expect(await advance(id)).toBe('present')
    expect((await row(id)).expiresAt?.getTime()).toBe(clockMs + 7 * DAY)
    expect((await alertLines(context.database)).filter((line) => line.endsWith(run.key))).toEqual([
      `raise recall-failed ${run.key}`,
      `resolve recall-failed ${run.key}`,
    ])
  })

  test('at an unreachable endpoint costs no attempts while its breaker is open, and does not end at the deadline', async () => {
    await onlyOnTape(here, tape, number)
    const { TransientError } = await import('../../../../shared/errors.ts')
    tape.stage = () => Promise.reject(new TransientError('no answer', { error: 'ECONNREFUSED' }))
    const id = await askOne()
    for (let tries = 0; tries < 6; tries++) {
      await advance(id)
      clockMs = Math.max((await row(id)).nextAttemptAt?.getTime() ?? 0, clockMs + 60_000)
    }
    expect(await row(id)).toMatchObject({ attempts: 2, lastError: 'no answer' })
    clockMs = (await row(id)).requestedAt.getTime() + context.config.recall.hours * HOUR
    await advance(id)
    expect(await row(id)).toMatchObject({ nextAttemptAt: expect.any(Date), lastError: 'no answer' })
    expect(await alerts()).toEqual([])
  })

  test('of a file that the endpoint has lost is alerted at once', async () => {
    await onlyOnTape(here, tape, number)
    const { InvalidInputError } = await import('../../../../shared/errors.ts')
    tape.stage = () => Promise.reject(new InvalidInputError('the endpoint reports that it is lost'))
    const id = await askOne()
    expect(await advance(id)).toBe('failed')
    expect(await row(id)).toMatchObject({
      nextAttemptAt: null,
      lastError: 'the endpoint reports that it is lost',
    })
    expect(await alerts()).toHaveLength(1)
  })
})

describe('a recall overwrites nothing in the store', () => {
  test('when there are other contents under the key already', async () => {
    const run = await onlyOnTape(here, tape, number)
    await context.put(run.key, 'another run of the same number')
    const id = await askOne()
    expect(await advance(id)).toBe('failed')
    expect(await row(id)).toMatchObject({
      nextAttemptAt: null,
      lastError: expect.stringContaining('other contents under'),
    })
    expect(String(await bytesInStore(here, run.key))).toBe('another run of the same number')
    expect(tape.calls).toEqual([])
    expect(await alerts()).toHaveLength(1)
  })

  test.each([
    ['one PUT', false, 3000],
    ['parts', false, MULTIPART_BYTES],
    ['the endpoint', true, 3000],
  ])('when other contents arrive during the transfer by %s', async (_, sends, sizeBytes) => {
    const run = await onlyOnTape(here, tape, number, sizeBytes)
    tape.sends = sends
    tape.meanwhile = async () => void (await context.put(run.key, 'the DAQ was quicker'))
    const id = await askOne()
    expect(await advance(id)).toBe('failed')
    expect(String(await bytesInStore(here, run.key))).toBe('the DAQ was quicker')
    expect((await row(id)).nextAttemptAt).toBeNull()
    expect(await leftovers(run.key)).toEqual(NOTHING_LEFT)
  })

  test('when the same contents arrive during the transfer: they are verified and kept', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.meanwhile = async () => void (await context.put(run.key, run.bytes, { by: 'the DAQ' }))
    const id = await askOne()
    expect(await advance(id)).toBe('present')
    expect((await bytesInStore(here, run.key))?.equals(run.bytes)).toBe(true)
  })
})

describe('wrong bytes', () => {
  const flipped = (bytes: Uint8Array) => bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte))

  test.each([
    ['flipped, small', false, 3000, flipped],
    ['flipped, in parts', false, MULTIPART_BYTES, flipped],
    ['cut', false, 3000, (bytes: Uint8Array) => bytes.subarray(0, 2000)],
    ['too many', false, 3000, (bytes: Uint8Array) => Buffer.concat([bytes, bytes])],
    ['flipped, sent by the endpoint', true, 3000, flipped],
    ['cut, sent by the endpoint', true, 3000, (bytes: Uint8Array) => bytes.subarray(0, 2000)],
  ])(
    'never appear under the key, and are alerted when every reading returns them: %s',
    async (_, sends, sizeBytes, damage) => {
      const run = await onlyOnTape(here, tape, number, sizeBytes)
      tape.sends = sends
      tape.damage = damage
      const id = await askOne()
      for (const attempts of [1, 2, 3]) {
        expect(await advance(id)).toBe('failed')
        expect(await bytesInStore(here, run.key)).toBeNull()
        const recall = await row(id)
        expect(recall.attempts).toBe(attempts)
        expect(recall.nextAttemptAt === null).toBe(attempts === 3)
        // Damage in transfer is transient: the copy is not doubted before the last attempt.
        expect(await replicaOf(here, run, 'tape')).toMatchObject({
          state: attempts === 3 ? 'suspicious' : 'on-media',
          leaseOwner: null,
        })
        clockMs = recall.nextAttemptAt?.getTime() ?? clockMs
      }
      const alerts = await allAlerts()
      expect(alerts).toContainEqual(
        expect.objectContaining({
          rule: 'recall-failed',
          summary: expect.stringContaining('the tape endpoint gives'),
        }),
      )
      expect(alerts).toContainEqual(
        expect.objectContaining({ rule: 'last-copy-in-danger', severity: 'page' }),
      )
      expect(alerts).toHaveLength(2)
      expect(await runlogRow(context.database, number)).toMatchObject({
        storage_cloud_status: 2,
        storage_tape_status: -2,
      })
      expect(await leftovers(run.key)).toEqual(NOTHING_LEFT)
      expect(tape.released).toEqual([expect.stringContaining(run.key)])
      await expect(ask()).rejects.toMatchObject({
        name: 'InvalidInputError',
        message: expect.stringContaining('its copy on tape is suspicious'),
      })
    },
  )

  test('from a faulty transfer do not make the copy suspicious: it is read again and is correct', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.damage = flipped
    const check = tape.check
    tape.check = async (...asked) => {
      tape.damage = (bytes) => bytes
      return await check(...asked)
    }
    const id = await askOne()
    for (let attempts = 0; attempts < 3; attempts++) {
      await advance(id)
      clockMs = (await row(id)).nextAttemptAt?.getTime() ?? clockMs
    }
    expect(await row(id)).toMatchObject({ state: 'failed', nextAttemptAt: null })
    expect(await replicaOf(here, run, 'tape')).toMatchObject({
      state: 'on-media',
      verifiedBy: 'sha256 read back',
      lastError: null,
    })
    expect(await allAlerts()).toEqual([expect.objectContaining({ rule: 'recall-failed' })])
  })

  test('in the store, of another run, are no reason to verify the copy on tape', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.check = () => Promise.reject(new Error('it was not expected to be called'))
    const id = await askOne()
    await context.put(run.key, 'another run of the same number')
    expect(await advance(id)).toBe('failed')
    expect(await replicaOf(here, run, 'tape')).toMatchObject({ state: 'on-media', lastError: null })
  })

  test('that were read once do not matter when the next reading is correct', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.damage = flipped
    const id = await askOne()
    await advance(id)
    tape.damage = (bytes) => bytes
    clockMs = (await row(id)).nextAttemptAt?.getTime() ?? 0
    expect(await advanceRecalls(here, signal, here.log)).toMatchObject({ present: 1, failed: 0 })
    expect((await bytesInStore(here, run.key))?.equals(run.bytes)).toBe(true)
    expect(await alerts()).toEqual([])
  })
})

test('a file that is not at the endpoint any more becomes missing, and the loss of the last copy is alerted', async () => {
  const run = await onlyOnTape(here, tape, number)
  tape.files.clear()
  const id = await askOne()
  expect(await advance(id)).toBe('failed')
  expect(await row(id)).toMatchObject({
    nextAttemptAt: null,
    lastError: expect.stringContaining('has no'),
  })
  expect(await replicaOf(here, run, 'tape')).toMatchObject({ state: 'missing' })
  expect(await runlogRow(context.database, number)).toMatchObject({ storage_tape_status: -2 })
  expect((await allAlerts()).map(({ rule, severity }) => `${rule} ${severity}`).toSorted()).toEqual([
    'last-copy-in-danger page',
    'recall-failed error',
  ])
})

describe('a function that dies', () => {
  test('after the upload and before it was recorded: the next one checks, and fetches nothing', async () => {
    await onlyOnTape(here, tape, number)
    const id = await askOne()
    await advance(id)
    await dieAt(id)
    tape.calls.length = 0
    expect(await advanceRecalls(here, signal, here.log)).toMatchObject({ present: 1 })
    expect(await row(id)).toMatchObject({ state: 'present', verifiedAt: expect.any(Date) })
    expect(tape.calls).toEqual([])
  })

  test('in the middle of an upload: its parts are aborted, other uploads are not', async () => {
    const run = await onlyOnTape(here, tape, number, MULTIPART_BYTES)
    const id = await askOne()
    const object = { bucket: context.bucket, key: run.key, metadata: {}, replace: false }
    const ours = await createMultipart(context.s3, object, signal)
    const others = await createMultipart(context.s3, object, signal)
    await dieAt(id, { reference: { upload: ours.uploadId } })
    expect(await advance(id)).toBe('present')
    const left = await listUploads(context.s3, object, signal)
    expect(left.map(({ uploadId }) => uploadId)).toEqual([others.uploadId])
  })

  test('after the endpoint has sent the file: the sent object is used, not sent again', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.sends = true
    const id = await askOne()
    const { temporaryOf } = await import('../../../../shared/copies/recall/temporary.ts')
    const recall = await findRecall(context.database, id)
    await context.put(recall === null ? '' : temporaryOf(recall).key, run.bytes)
    await dieAt(id)
    expect(await advance(id)).toBe('present')
    expect(tape.calls).toEqual(['stage anew'])
    expect(await leftovers(run.key)).toEqual(NOTHING_LEFT)
  })

  test('while it holds the lease: no other function starts', async () => {
    await onlyOnTape(here, tape, number)
    const id = await askOne()
    await dieAt(id, { leaseUntil: new Date(Date.now() + HOUR) })
    expect(await advance(id)).toBe('busy')
    expect(await advanceRecalls(here, signal, here.log)).toMatchObject({ advanced: 0 })
    expect(tape.calls).toEqual([])
  })

  test('because it is stopped returns the recall at once, and leaves nothing in the store', async () => {
    const run = await onlyOnTape(here, tape, number, MULTIPART_BYTES)
    const id = await askOne()
    const stop = new AbortController()
    tape.meanwhile = async () => stop.abort()
    // The file is online at the endpoint by then.
    expect(await advance(id, here, stop.signal)).toBe('staging')
    expect(await row(id)).toMatchObject({ attempts: 0, leaseOwner: null, nextAttemptAt: null })
    expect(await bytesInStore(here, run.key)).toBeNull()
    expect(await leftovers(run.key)).toEqual(NOTHING_LEFT)
    tape.meanwhile = async () => {}
    expect(await advance(id)).toBe('present')
  })
})

describe('a recall request', () => {
  test('for a run that is in the store fetches nothing and keeps it there', async () => {
    const run = await makeRun(here, number)
    await putOnTape(here, tape, run)
    const asked = await ask(number, 3)
    expect(asked.files).toEqual([
      expect.objectContaining({ alreadyThere: true, state: 'present', key: run.key }),
    ])
    expect((await replicaOf(here, run, 'recall'))?.expiresAt?.getTime()).toBe(clockMs + 3 * DAY)
    expect(await context.drain('recall-requests')).toEqual([])
  })

  test('repeated for a longer time extends it, for a shorter time never shortens it', async () => {
    await onlyOnTape(here, tape, number)
    const id = await askOne(7)
    await advance(id)
    await ask(number, 30)
    const until = clockMs + 30 * DAY
    expect((await row(id)).expiresAt?.getTime()).toBe(until)
    await ask(number, 1)
    expect((await row(id)).expiresAt?.getTime()).toBe(until)
  })

  test('repeated during the transfer still counts when the file arrives', async () => {
    await onlyOnTape(here, tape, number)
    const id = await askOne(1)
    tape.meanwhile = async () => void (await ask(number, 60))
    expect(await advance(id)).toBe('present')
    expect((await row(id)).expiresAt?.getTime()).toBe(clockMs + 60 * DAY)
  })

  test('for a file that was deleted after it had been brought back fetches it again', async () => {
    const run = await onlyOnTape(here, tape, number)
    const id = await askOne()
    await advance(id)
    await deleteFromStore(here, { ...run, sha256: 'not the cloud row' })
    await ask()
    expect(await row(id)).toMatchObject({ state: 'requested', generation: 2 })
    expect(await advance(id)).toBe('present')
    expect((await bytesInStore(here, run.key))?.equals(run.bytes)).toBe(true)
  })

  test.each([
    ['an unknown run', { runNumber: 999_999 }, 7, 'run 999999 is not in the catalogue'],
    ['an unknown tag', { runNumber: 1, tag: 'NONE' }, 7, 'run 1 of NONE is not in the catalogue'],
    ['an unknown use of a number', { runId: 999_999 }, 7, 'no run with the id 999999'],
  ])('for %s is refused with a reason', async (_, choice, days, sentence) => {
    const asked = requestRecall(here, choice, { days, requestedBy: 'test' }, here.now(), signal)
    await expect(asked).rejects.toThrow(
      expect.objectContaining({ name: 'InvalidInputError', message: expect.stringContaining(sentence) }),
    )
  })

  test.each([0, -1, Number.NaN, 5000])('for %s days is refused', async (days) => {
    await onlyOnTape(here, tape, number)
    await expect(ask(number, days)).rejects.toThrow(/is brought back for up to 366 days/)
  })

  test('for a number that two tags use is refused: the tag is missing', async () => {
    await makeRun(here, number)
    await makeRun(here, number, 100, 'LNF')
    const asked = requestRecall(
      here,
      { runNumber: number },
      { days: 1, requestedBy: 'test' },
      here.now(),
      signal,
    )
    await expect(asked).rejects.toThrow(`there is a run ${number} of LNF and of LNGS: give its tag`)
  })

  test('for a run without a verified copy is refused, and nothing is written', async () => {
    const run = await makeRun(here, number)
    await deleteFromStore(here, run)
    await expect(ask()).rejects.toThrow(
      /cannot be brought back: it is not in the store, and it was never copied to tape/,
    )
    await putOnTape(here, tape, run, 'suspicious')
    await expect(ask()).rejects.toThrow(/its copy on tape is suspicious/)
    expect(await replicaOf(here, run, 'recall')).toBeUndefined()
  })
})

test('a recall waits while the object is being deleted, so that a disappearing object does not count as present', async () => {
  const run = await makeRun(here, number)
  await putOnTape(here, tape, run)
  const cloud = await replicaOf(here, run, 'cloud')
  await setState(here, cloud?.id ?? 0, 'present', 'deleting')
  const id = await askOne()
  expect(await advance(id)).toBe('requested')
  expect((await row(id)).nextAttemptAt?.getTime()).toBeGreaterThan(clockMs)
})

test('without a tape endpoint a recall waits, and continues when there is one', async () => {
  await onlyOnTape(here, tape, number)
  const id = await askOne()
  const without = { ...here, tape: null }
  expect(await advanceRecall(without, id, signal, here.log)).toBe('failed')
  const waiting = await row(id)
  expect(waiting.lastError).toMatch(/no tape endpoint is configured/)
  clockMs = waiting.nextAttemptAt?.getTime() ?? 0
  expect(await advance(id)).toBe('present')
})

test('a recall expires when its time is over: the cleaner may delete the file, and a new request revives the recall', async () => {
  const run = await onlyOnTape(here, tape, number)
  const id = await askOne(2)
  await advance(id)
  expect(await expireRecalls(here, new Date(clockMs + 2 * DAY - 1), signal)).toBe(0)
  clockMs += 2 * DAY
  expect((await advanceRecalls(here, signal, here.log)).expired).toBeGreaterThanOrEqual(1)
  expect(await row(id)).toMatchObject({ state: 'expired' })
  expect(await bytesInStore(here, run.key)).not.toBeNull()
  expect(await advance(id)).toBe('expired')
  await ask()
  expect(await advance(id)).toBe('present')
})

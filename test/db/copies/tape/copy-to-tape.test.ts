import { chmodSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { noteLocalCopy } from '../../../../shared/copies/delete/local-copies.ts'
import { sweepCopies } from '../../../../shared/copies/tape/sweep-copies.ts'
import { followCopies, type WithTape } from '../../../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../../../shared/copies/tape/tape-request.ts'
import type { Replica } from '../../../../shared/database/replica-schema.ts'
import { createLogger } from '../../../../shared/log.ts'
import { tapeRequests } from '../../../../shared/messages/tape-requests.ts'
import { createDirectoryDriver } from '../../../../shared/tape/directory/directory.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { runlogRow } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import { type FaultyTape, faultyTape } from '../../../support/faulty-tape.ts'
import {
  type CataloguedObject,
  startTestTapeContext,
  type TestTapeContext,
} from '../../../support/tape-context.ts'
import { copyNext } from '../../../support/tape-copies.ts'
import { until } from '../../../support/waiting.ts'

const log = createLogger({ function: 'test', level: 'silent' })
const START = new Date('2026-03-01T12:00:00Z').getTime()

let time = START
let context: TestTapeContext
let tape: FaultyTape
beforeAll(async () => {
  context = await startTestTapeContext({
    driver: (folder) => faultyTape(createDirectoryDriver({ folder })),
    environment: { CYGNET_TAPE_COPIES_AT_ONCE: '2' },
    now: () => new Date(time),
  })
  tape = context.tape as FaultyTape
})
afterAll(() => context?.close())

let run = 500
let key: string
beforeEach(async () => {
  run++
  key = `LNGS/run00${run}.mid.gz`
  time = START
  Object.assign(tape, {
    fault: null,
    asynchronous: false,
    onMedia: true,
    mostBusy: 0,
    before: async () => {},
  })
  tape.copied.length = 0
  for (const table of ['tombstones', 'tasks', 'replicas', 'breakers'] as const)
    await context.database.deleteFrom(table).execute()
})

const withTape = () => context as WithTape
const copy = () => copyNext(withTape(), signal, log)
const requestOf = (object: CataloguedObject, priority: 'live' | 'backlog' = 'live') => ({
  tag: object.tag,
  runNumber: object.runNumber,
  bucket: context.bucket,
  key: object.object.key,
  sha256: object.sha256,
  priority,
})
const request = async (object: CataloguedObject, priority: 'live' | 'backlog' = 'live') =>
  await acceptTapeRequest(withTape(), requestOf(object, priority))
const only = async (): Promise<Replica> =>
  await context.database.selectFrom('copies').selectAll().where('kind', '=', 'tape').executeTakeFirstOrThrow()
const history = async () =>
  (
    await context.database
      .selectFrom('runHistory')
      .innerJoin('runs', 'runs.id', 'runId')
      .select('what')
      .where('runNumber', '=', run)
      .execute()
  ).map((line) => line.what)
const alerts = async () => (await drainRaised(context)).map((body) => body.rule)
const onTape = (name: string) => readFileSync(join(context.tapeFolder, name), 'utf8')
const later = (seconds: number) => {
  time += seconds * 1000
}

describe('a copy to tape', () => {
  test('a copy has the same bytes, is verified, and is visible to the old tools', async () => {
    const object = await context.putRun(key, 'the bytes of a run')
    expect(await runlogRow(context.database, run)).toMatchObject({
      storage_cloud_status: 1,
      storage_tape_status: -1,
    })
    await request(object)
    expect(await copy()).toBe('on-media')
    expect(onTape(`${context.bucket}/${key}`)).toBe('the bytes of a run')
    expect(await only()).toMatchObject({
      state: 'on-media',
      verifiedAt: new Date(time),
      attempts: 0,
      leaseOwner: null,
      lastError: null,
    })
    expect((await only()).verifiedBy).not.toBe('')
    expect(await runlogRow(context.database, run)).toMatchObject({
      storage_cloud_status: 1,
      storage_tape_status: 1,
    })
    expect(await history()).toContain('on tape')
    expect(await copy()).toBeNull()
  })

  test('a copy requested ten times and made by ten functions at once is made once', async () => {
    const object = await context.putRun(key, 'x')
    await Promise.all(Array.from({ length: 10 }, () => request(object)))
    await Promise.all(Array.from({ length: 10 }, copy))
    expect(tape.copied).toHaveLength(1)
    expect((await only()).state).toBe('on-media')
    await request(object)
    expect(await copy()).toBeNull()
  })

  test('a copy whose answer was lost is found and not made again', async () => {
    await request(await context.putRun(key, 'x'))
    tape.fault = 'answer-lost'
    expect(await copy()).toBe('requested')
    expect(await runlogRow(context.database, run)).toMatchObject({ storage_tape_status: -1 })
    tape.fault = null
    later(120)
    expect(await copy()).toBe('on-media')
    expect(tape.copied).toHaveLength(1)
  })

  test('a copy whose function died is taken over when the lease is over', async () => {
    await request(await context.putRun(key, 'x'))
    tape.fault = 'hangs'
    const dying = new AbortController()
    const died = copyNext({ ...withTape(), database: context.database }, dying.signal, log)
    await until(() => tape.busy === 1)
    expect(await copy()).toBeNull()
    await context.database
      .updateTable('tasks')
      .set({ leaseUntil: sql<Date>`UTC_TIMESTAMP(3) - INTERVAL 1 SECOND`, leaseOwner: 'dead' })
      .execute()
    tape.fault = null
    expect(await copy()).toBe('on-media')
    dying.abort()
    expect(await died).toBe('lost')
    expect((await only()).state).toBe('on-media')
  })

  test('a copy that is stopped from outside waits for the next function and does not count as a failure', async () => {
    await request(await context.putRun(key, 'x'))
    tape.fault = 'hangs'
    const stop = new AbortController()
    const stopped = copyNext(withTape(), stop.signal, log)
    await until(() => tape.busy === 1)
    stop.abort()
    expect(await stopped).toBe('requested')
    expect(await only()).toMatchObject({ attempts: 0, leaseOwner: null })
    tape.fault = null
    expect(await copy()).toBe('on-media')
  })

  test('a copy that fails is retried with growing delays, raises an alert after six attempts, and is never given up', async () => {
    await request(await context.putRun(key, 'x'))
    tape.fault = 'fails'
    const waits: number[] = []
    for (let attempt = 1; attempt <= 12; attempt++) {
      expect(await copy()).toBe(attempt < 6 ? 'requested' : 'failed')
      expect(await copy()).toBeNull()
      const { nextAttemptAt: next } = await only()
      waits.push((next?.getTime() ?? 0) - time)
      time = next?.getTime() ?? time
    }
    expect(
      waits.every((wait, index) => index === 0 || wait > (waits[index - 1] ?? 0) || wait > 5 * 3_600_000),
    ).toBe(true)
    expect(await alerts()).toContain('tape-copy-fails')
    expect(await runlogRow(context.database, run)).toMatchObject({ storage_tape_status: -2 })
    tape.fault = null
    expect(await copy()).toBe('on-media')
    expect(await runlogRow(context.database, run)).toMatchObject({ storage_tape_status: 1 })
  })

  test('a copy gets an alternate name when other contents have its name, which are not changed', async () => {
    const object = await context.putRun(key, 'the new contents')
    await request(object)
    const name = `${context.bucket}/${key}`
    await context.tape.copy(
      {
        ...object,
        name,
        sizeBytes: 3,
        adler32: '024d0127',
        md5: '900150983cd24fb0d6963f7d28e17f72',
        sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      },
      {
        object: object.object,
        open: async function* () {
          yield Buffer.from('abc')
        },
        presign: async () => '',
      },
      { attempt: 1 },
      signal,
    )
    tape.copied.length = 0
    expect(await copy()).toBe('requested')
    expect(await copy()).toBe('on-media')
    expect(onTape(name)).toBe('abc')
    const replica = await only()
    expect(replica.name).toBe(name.replace('.mid', `.${object.sha256.slice(0, 12)}.mid`))
    expect(onTape(replica.name)).toBe('the new contents')
    expect(await alerts()).toContain('tape-name-taken')
  })

  test('a copy of contents that were overwritten before it was made raises the alert of a loss', async () => {
    const object = await context.putRun(key, 'the first contents')
    await request(object)
    await context.putRun(key, 'the second contents')
    expect(await copy()).toBe('failed')
    expect(await only()).toMatchObject({
      nextAttemptAt: null,
      lastError: expect.stringContaining('other contents'),
    })
    expect(await alerts()).toContain('tape-source-gone')
    later(86_400 * 30)
    expect(await copy()).toBeNull()
    await context.putRun(key, 'the first contents')
    await request(object)
    expect(await copy()).toBe('on-media')
  })

  test('a copy of contents that only the DAQ may still have raises the alert of a loss and states where to search', async () => {
    const object = await context.putRun(key, 'the first contents')
    await request(object)
    const seen = {
      bucket: context.bucket,
      key,
      sha256: object.sha256,
      sizeBytes: 18,
      host: 'daq01',
      path: '/data/old.mid.gz',
    }
    await noteLocalCopy(context, seen)
    await context.putRun(key, 'the second contents')
    expect(await copy()).toBe('failed')
    expect((await drainRaised(context)).find(({ rule }) => rule === 'tape-source-gone')).toMatchObject({
      severity: 'page',
      summary: expect.stringContaining('/data/old.mid.gz on daq01'),
    })
  })

  test('a copy is not made of bytes that differ from the catalogue, and the copy in the store becomes suspicious', async () => {
    const object = await context.putRun(key, 'as catalogued')
    const others = { sha256: 'f'.repeat(64), adler32: '00000001' }
    for (const table of ['runFiles', 'replicas'] as const)
      await context.database.updateTable(table).set(others).where('objectKey', '=', key).execute()
    await request({ ...object, sha256: 'f'.repeat(64) })
    expect(await copy()).toBe('requested')
    expect(await only()).toMatchObject({ verifiedAt: null, attempts: 1 })
    expect(() => onTape(`${context.bucket}/${key}`)).toThrow('ENOENT')
    expect(await alerts()).toContain('last-copy-in-danger')
  })
})

describe('the order of copies', () => {
  test('live runs are copied before the backlog, the oldest request first', async () => {
    const names: string[] = []
    for (const [index, priority] of (['backlog', 'live', 'backlog', 'live'] as const).entries()) {
      const name = `LNGS/run0${6000 + run * 4 + index}.mid.gz`
      names.push(name)
      await request(await context.putRun(name, name), priority)
      later(1)
    }
    while ((await copy()) !== null);
    expect(tape.copied.map((name) => name.slice(context.bucket.length + 1))).toEqual([
      names[1],
      names[3],
      names[0],
      names[2],
    ])
  })

  test('no more copies are in progress at once than allowed, however many functions run', async () => {
    for (let index = 0; index < 6; index++)
      await request(await context.putRun(`LNF/run${20_000 + run * 10 + index}.mid.gz`, `${run} ${index}`))
    const drain = async () => {
      while ((await waiting()) > 0)
        if ((await copy()) === null) {
          refused++
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
    }
    // The first two copies last until the other four functions found nothing to do.
    let refused = 0
    tape.before = () => until(() => refused >= 4)
    const waiting = async () =>
      Number(
        (
          await context.database
            .selectFrom('copies')
            .select((of) => of.fn.countAll().as('n'))
            .where('kind', '=', 'tape')
            .where('state', '!=', 'on-media')
            .executeTakeFirstOrThrow()
        ).n,
      )
    await Promise.all(Array.from({ length: 6 }, drain))
    expect(tape.maxBusy).toBe(2)
    expect(tape.copied).toHaveLength(6)
  })

  test('an endpoint that is down is tried once a minute, alerted once, costs no attempts, and is taken up again within a minute', async () => {
    for (let index = 0; index < 40; index++)
      await request(await context.putRun(`MAN/run${20_000 + run * 50 + index}.mid.gz`, `${run} ${index}`))
    tape.fault = 'down'
    // As the schedule does, every minute.
    let tries = 0
    for (let minute = 0; minute < 20; minute++) {
      while ((await copy()) !== null) tries++
      later(60)
    }
    expect(tries).toBe(3 + 19)
    expect((await alerts()).filter((rule) => rule === 'tape-endpoint-fails')).toHaveLength(1)
    // The two failures before it opened count.
    const tried = await context.database.selectFrom('tasks').select('attempts').execute()
    expect(tried.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(2)
    tape.fault = null
    later(60)
    expect(await copy()).toBe('on-media')
    expect(await copy()).toBe('on-media')
  })
})

describe('a copy that a service makes', () => {
  beforeEach(() => {
    tape.asynchronous = true
  })
  const jobsOf = (name: string) =>
    [...tape.jobs].filter(([job]) => job.includes(name)).map(([, state]) => state)
  const follow = async () => {
    later(1800)
    await followCopies(withTape(), signal, log)
    return await only()
  }

  test('a copy counts only when it is verified on the medium', async () => {
    await request(await context.putRun(key, 'x'))
    expect(await copy()).toBe('submitted')
    expect(await runlogRow(context.database, run)).toMatchObject({ storage_tape_status: -1 })
    expect((await follow()).state).toBe('submitted')
    tape.onMedia = false
    await tape.work()
    expect(await follow()).toMatchObject({ state: 'staged', verifiedBy: expect.any(String) })
    expect(await runlogRow(context.database, run)).toMatchObject({ storage_tape_status: -1 })
    tape.onMedia = true
    expect((await follow()).state).toBe('on-media')
    expect(await runlogRow(context.database, run)).toMatchObject({ storage_tape_status: 1 })
  })

  test('a state that nobody knows is in the row, and in the alert when the copy is late', async () => {
    await request(await context.putRun(key, 'x'))
    expect(await copy()).toBe('submitted')
    expect(await follow()).toMatchObject({ state: 'submitted', lastError: null })
    tape.progress = { reason: 'FTS job 7 is QUIESCED, which is not known', isUnknown: true }
    expect(await follow()).toMatchObject({
      state: 'submitted',
      lastError: 'FTS job 7 is QUIESCED, which is not known',
    })
    later(25 * 3600)
    await sweepCopies(withTape(), signal)
    const late = (await context.drain('alerts')).filter(({ rule }) => rule === 'not-on-tape')
    expect(late).toMatchObject([{ summary: expect.stringContaining('QUIESCED, which is not known') }])
    expect(tape.copied).toHaveLength(1)
    // It is known again.
    tape.progress = { reason: 'queued' }
    expect(await follow()).toMatchObject({ state: 'submitted', lastError: null })
  })

  test('a copy that waits on the disk buffer does not take the turn of another', async () => {
    tape.asynchronous = false
    tape.onMedia = false
    for (let index = 0; index < 4; index++) {
      await request(await context.putRun(`LNF/run${40_000 + run * 10 + index}.mid.gz`, `${run} ${index}`))
      expect(await copy()).toBe('staged')
    }
  })

  test('a copy that is lost from the disk buffer no longer counts and is made again', async () => {
    tape.asynchronous = false
    tape.onMedia = false
    await request(await context.putRun(key, 'x'))
    expect(await copy()).toBe('staged')
    unlinkSync(join(context.tapeFolder, context.bucket, key))
    expect(await follow()).toMatchObject({ state: 'requested', storedAt: null, verifiedAt: null })
    expect(await history()).toContain('copy missing')
    tape.onMedia = true
    later(600)
    expect(await copy()).toBe('on-media')
  })

  test('a copy that is lost from the disk buffer without a source is given up, and made when requested again', async () => {
    tape.asynchronous = false
    tape.onMedia = false
    const object = await context.putRun(key, 'x')
    await request(object)
    await copy()
    unlinkSync(join(context.tapeFolder, context.bucket, key))
    await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: key }))
    await follow()
    later(600)
    expect(await copy()).toBe('failed')
    expect(await only()).toMatchObject({ state: 'failed', nextAttemptAt: null, verifiedAt: null })
    await context.putRun(key, 'x')
    await request(object)
    tape.onMedia = true
    expect(await copy()).toBe('on-media')
  })

  test.each([
    ['suspicious', 'given-up'],
    ['on-media', 'done'],
  ] as const)(
    'a copy that a verification found %s is not checked by its task any more',
    async (state, ended) => {
      await request(await context.putRun(key, 'x'))
      tape.onMedia = false
      await copy()
      await tape.work()
      await follow()
      await context.database.updateTable('replicas').set({ state }).where('kind', '=', 'tape').execute()
      tape.onMedia = true
      expect((await follow()).state).toBe(state)
      const task = await context.database.selectFrom('tasks').select('state').executeTakeFirstOrThrow()
      expect(task.state).toBe(ended)
    },
  )

  test('a copy that a verification finds missing during the check is not recorded as present', async () => {
    await request(await context.putRun(key, 'x'))
    tape.onMedia = false
    expect(await copy()).toBe('submitted')
    await tape.work()
    expect((await follow()).state).toBe('staged')
    later(1800)
    const slow: WithTape = {
      ...withTape(),
      tape: {
        ...tape,
        async check(...asked) {
          const seen = await tape.check(...asked)
          await context.database
            .updateTable('replicas')
            .set({ state: 'missing', updatedAt: new Date(time + 1) })
            .where('kind', '=', 'tape')
            .execute()
          return seen
        },
      },
    }
    await followCopies(slow, signal, log)
    expect((await only()).state).toBe('missing')
  })

  test('a copy whose request was not answered has one job', async () => {
    await request(await context.putRun(key, 'x'))
    tape.fault = 'answer-lost'
    expect(await copy()).toBe('requested')
    tape.fault = null
    later(600)
    expect(await copy()).toBe('submitted')
    expect(jobsOf(key)).toHaveLength(1)
  })

  test('a copy whose job failed gets a new job', async () => {
    await request(await context.putRun(key, 'x'))
    await copy()
    await tape.work(true)
    expect(await follow()).toMatchObject({
      state: 'requested',
      reference: null,
      generation: 2,
      lastError: 'the job failed',
    })
    later(600)
    expect(await copy()).toBe('submitted')
    expect(jobsOf(key)).toEqual(['failed', 'queued'])
    await tape.work()
    expect((await follow()).state).toBe('on-media')
  })

  test('a copy reported on the medium with wrong bytes does not count, and another is made under the alternate name', async () => {
    const object = await context.putRun(key, 'right')
    await request(object)
    await copy()
    await tape.work()
    const path = join(context.tapeFolder, context.bucket, key)
    chmodSync(path, 0o640)
    writeFileSync(path, 'wrong')
    const seen = await follow()
    expect(seen.state).toBe('requested')
    expect(seen.name).toContain(object.sha256.slice(0, 12))
    expect(await runlogRow(context.database, run)).toMatchObject({ storage_tape_status: -1 })
  })
})

describe('the sweep', () => {
  test('the sweep requests a copy of every file without one, however old, and none twice', async () => {
    time = Date.now()
    // The files of the tests before.
    await sweepCopies(withTape(), signal)
    const object = await context.putRun(key, 'x')
    expect((await sweepCopies(withTape(), signal)).requested).toBe(0)
    later(86_400 * 400)
    expect((await sweepCopies(withTape(), signal)).requested).toBeGreaterThanOrEqual(1)
    expect((await sweepCopies(withTape(), signal)).requested).toBe(0)
    const rows = await context.database
      .selectFrom('copies')
      .selectAll()
      .where('objectKey', '=', key)
      .where('kind', '=', 'tape')
      .execute()
    expect(rows).toMatchObject([{ state: 'requested', priority: 'backlog', sha256: object.sha256 }])
  })

  test('the sweep makes a missing copy again, and another copy for a suspicious one', async () => {
    const object = await context.putRun(key, 'x')
    await request(object)
    await copy()
    await context.database
      .updateTable('replicas')
      .set({ state: 'missing' })
      .where('kind', '=', 'tape')
      .execute()
    expect((await sweepCopies(withTape(), signal)).renewed).toBe(1)
    expect((await only()).state).toBe('requested')
    await copy()
    await context.database
      .updateTable('replicas')
      .set({ state: 'suspicious' })
      .where('kind', '=', 'tape')
      .execute()
    expect((await sweepCopies(withTape(), signal)).renewed).toBe(1)
    expect(await copy()).toBe('on-media')
    const names = (
      await context.database
        .selectFrom('copies')
        .select(['name', 'state'])
        .where('kind', '=', 'tape')
        .orderBy('id')
        .execute()
    ).map((row) => row.state)
    expect(names).toEqual(['suspicious', 'on-media'])
    expect(await runlogRow(context.database, run)).toMatchObject({ storage_tape_status: 1 })
  })

  test.each([
    ['purged', 'requested'],
    ['purged', 'staged'],
    ['done', 'requested'],
  ] as const)('the sweep reopens a copy whose task was %s while it was %s', async (task, state) => {
    await request(await context.putRun(key, 'x'))
    if (state === 'staged') {
      tape.onMedia = false
      await copy()
      tape.onMedia = true
    }
    if (task === 'purged') await context.database.deleteFrom('tasks').execute()
    else await context.database.updateTable('tasks').set({ state: 'done' }).execute()
    expect((await sweepCopies(withTape(), signal)).resumed).toBe(1)
    expect((await sweepCopies(withTape(), signal)).resumed).toBe(0)
    await followCopies(withTape(), signal, log)
    await copy()
    expect((await only()).state).toBe('on-media')
  })

  test('the sweep raises one alert for a copy that is late', async () => {
    await request(await context.putRun(key, 'x'))
    later(25 * 3600)
    expect((await sweepCopies(withTape(), signal)).late).toBe(1)
    expect((await sweepCopies(withTape(), signal)).late).toBe(0)
    expect(await alerts()).toContain('not-on-tape')
  })
})

test.each([
  ['not JSON', 'nonsense'],
  [
    'without a key',
    JSON.stringify({ tag: 'LNGS', runNumber: 1, bucket: 'b', sha256: 'a'.repeat(64), priority: 'live' }),
  ],
  [
    'with a malformed checksum',
    JSON.stringify({ tag: 'LNGS', runNumber: 1, bucket: 'b', key: 'k', sha256: 'abc', priority: 'live' }),
  ],
])('a request %s is refused with a sentence', (_what, body) => {
  expect(() => tapeRequests.parse(body)).toThrow(/a request for a tape copy is/)
})

test('a request for contents that the catalogue does not know is refused', async () => {
  const unknown = {
    tag: 'LNGS',
    runNumber: 1,
    bucket: 'b',
    key: 'LNGS/run00001.mid.gz',
    sha256: 'a'.repeat(64),
    priority: 'live' as const,
  }
  await expect(acceptTapeRequest(withTape(), unknown)).rejects.toThrow('does not know')
})

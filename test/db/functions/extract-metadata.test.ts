import { createHash } from 'node:crypto'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../../cli/simulate/write.ts'
import { createHandler } from '../../../functions/extract-metadata/handler.ts'
import { createHandler as createTracker } from '../../../functions/track-arrivals/handler.ts'
import { findArrival } from '../../../shared/catalogue/arrivals.ts'
import { listParked } from '../../../shared/catalogue/parked.ts'
import type { Context } from '../../../shared/context.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import { encodeNotification } from '../../../shared/messages/runs.ts'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import { describeRun, findRuns } from '../../../shared/queries/runs.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { ATTEMPTS_BEFORE_FAILING } from '../../../shared/work/retry-policy.ts'
import { drainRaised } from '../../support/alerts.ts'
import { runlogRow } from '../../support/catalogue.ts'
import { arrivalOf, signal, startTestContext, type TestContext } from '../../support/context.ts'

let context: TestContext
beforeAll(async () => {
  context = await startTestContext()
})
afterAll(() => context.close())

const small = (runNumber: number, more: object = {}) =>
  runFileBytes({ runNumber, camera: 32, events: 12, digitizers: false, ...more })
const keyOf = (runNumber: number) => `LNGS/run${String(runNumber).padStart(5, '0')}.mid.gz`
const process = (arrival: ObjectArrival, on: Context<'database' | 'queues' | 's3'> = context) =>
  processArrival(on, arrival, signal, context.log)
async function catalogued(runNumber: number) {
  const [run] = await findRuns(context.database, { runNumber })
  return run === undefined ? null : await describeRun(context.database, run)
}

describe('an object that arrives', () => {
  test('is read once and is in the catalogue with the checksums of its bytes', async () => {
    const bytes = await small(1)
    expect(await process(await context.put(keyOf(1), bytes))).toBe('catalogued')
    const details = await catalogued(1)
    expect(details?.files[0]).toMatchObject({
      md5: createHash('md5').update(bytes).digest('hex'),
      sha256: createHash('sha256').update(bytes).digest('hex'),
      sizeBytes: bytes.length,
      integrity: 'verified',
      complete: true,
    })
    expect(details?.events).toContainEqual({ eventId: 1, events: 12, serialGaps: 0 })
    expect(await runlogRow(context.database, 1)).toMatchObject({
      file_checksum: details?.files[0]?.md5,
      storage_cloud_status: 1,
      number_of_events: 12,
    })
    expect(await context.drain('tape-requests')).toEqual([
      expect.objectContaining({ runNumber: 1, tag: 'LNGS', key: keyOf(1), priority: 'live' }),
    ])
    expect(await context.drain('reco-requests')).toEqual([
      expect.objectContaining({ runNumber: 1, triggerEvents: 12 }),
    ])
  })

  test('and is announced again is a quick no-op', async () => {
    const arrival = await context.put(keyOf(2), await small(2))
    await process(arrival)
    const before = await findArrival(context.database, arrival)
    expect(await process(arrival)).toBe('unchanged')
    expect((await findArrival(context.database, arrival))?.attempts).toBe(before?.attempts)
    await context.drain('tape-requests')
    await context.drain('reco-requests')
  })

  test('is announced ten times at once is catalogued once', async () => {
    const arrival = await context.put(keyOf(3), await small(3))
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => process(arrival)))
    expect(outcomes.filter((outcome) => outcome === 'catalogued')).toHaveLength(1)
    const details = await catalogued(3)
    expect(details?.files).toHaveLength(1)
    for (const queue of ['tape-requests', 'reco-requests'] as const) {
      const [name, ...more] = (details?.requests ?? []).flatMap((request) =>
        request.queue === queue ? [request.name] : [],
      )
      expect(more).toEqual([])
      // A request is sent at least once: a concurrent call between its commit and its sending sends it as
      // well, under the same name.
      expect(new Set((await context.drain(queue)).map(({ request }) => request))).toEqual(new Set([name]))
    }
  })

  test('without ETag or size in its notification is catalogued too', async () => {
    await context.put(keyOf(4), await small(4))
    expect(await process(arrivalOf(context.bucket, keyOf(4), null))).toBe('catalogued')
  })

  test('with the bytes of a run of another tag is catalogued, and alerted once', async () => {
    const bytes = await small(4711)
    await process(await context.put('LNGS/run04711.mid.gz', bytes))
    await drainRaised(context)
    for (let time = 0; time < 2; time++) await process(await context.put('lngs/run04711.mid.gz', bytes))
    expect(await drainRaised(context)).toMatchObject([
      {
        rule: 'same-contents',
        tag: 'lngs',
        summary: expect.stringContaining('the same bytes as LNGS/run04711.mid.gz'),
      },
    ])
  })

  test('in another bucket, or with a key that is not a run, is ignored', async () => {
    expect(await process(arrivalOf('elsewhere', keyOf(5), 'e'))).toBe('ignored')
    for (const key of [
      'EVENTS/LNGS_1700000000_1.dat',
      'LNGS/run00005.mid.crc32c',
      'LNGS/.run00005.mid.gz.part',
      'LAB/histograms_Run05001.root',
    ])
      expect(await process(arrivalOf(context.bucket, key, 'e'))).toBe('ignored')
  })

  test('with a misspelt key is kept as invalid with a reason and alerted once', async () => {
    const arrival = await context.put('LNGS/Run5.mid.gz', 'x')
    expect(await process(arrival)).toBe('invalid')
    expect(await process(arrival)).toBe('invalid')
    expect(await findArrival(context.database, arrival)).toMatchObject({
      state: 'invalid',
      reason: expect.stringContaining('looks like a run'),
    })
    expect(await drainRaised(context)).toHaveLength(1)
  })

  test('that is unreadable becomes invalid with its reason, is alerted, and is not tried again', async () => {
    const arrival = await context.put(keyOf(6), 'this is not MIDAS at all, whatever its name says')
    expect(await process(arrival)).toBe('invalid')
    expect(await process(arrival)).toBe('invalid')
    expect((await findArrival(context.database, arrival))?.attempts).toBe(1)
    expect(await drainRaised(context)).toEqual([
      expect.objectContaining({ rule: 'invalid-file', runNumber: 6 }),
    ])
    expect(await catalogued(6)).toBeNull()
  })

  test('whose uploader states another checksum is never sent to tape, and raises an alert of severity page', async () => {
    await context.drain('tape-requests')
    await drainRaised(context)
    await process(await context.put(keyOf(7), await small(7), { md5: 'f'.repeat(32) }))
    expect((await catalogued(7))?.files[0]).toMatchObject({ integrity: 'mismatch' })
    expect(await context.drain('tape-requests')).toHaveLength(0)
    expect(await drainRaised(context)).toEqual([
      expect.objectContaining({ rule: 'checksum-mismatch', severity: 'page' }),
    ])
    expect(await runlogRow(context.database, 7)).toMatchObject({ storage_cloud_status: -2 })
  })

  test('and is deleted before it is checked is alerted, and read when it is back', async () => {
    const arrival = await context.put(keyOf(8), await small(8))
    await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: keyOf(8) }))
    expect(await process(arrival)).toBe('gone')
    expect(await drainRaised(context)).toEqual([expect.objectContaining({ rule: 'object-gone' })])
    await context.put(keyOf(8), await small(8))
    expect(await process(arrival)).toBe('catalogued')
  })
})

describe('a key that is written again', () => {
  test('shows the newest content, whatever the order of the notifications', async () => {
    const first = await context.put(keyOf(20), await small(20, { seed: 1 }))
    const second = await context.put(keyOf(20), await small(20, { seed: 2 }))
    expect(await process(second)).toBe('catalogued')
    expect(await process(first)).toBe('unchanged')
    const files = (await catalogued(20))?.files ?? []
    expect(files.filter((file) => file.isLive).map((file) => file.etag)).toEqual([second.etag])
    expect(await findArrival(context.database, first)).toMatchObject({ state: 'done', outcome: 'superseded' })
  })

  test('and then again with the first content shows the first content', async () => {
    const [one, two] = [await small(21, { seed: 1 }), await small(21, { seed: 2 })]
    const first = await context.put(keyOf(21), one)
    await process(first)
    await process(await context.put(keyOf(21), two))
    expect(await process(await context.put(keyOf(21), one))).toBe('catalogued')
    const live = (await catalogued(21))?.files.filter((file) => file.isLive)
    expect(live?.map((file) => file.etag)).toEqual([first.etag])
  })

  test('while it is being read is catalogued as the store holds it at the end', async () => {
    const [one, two] = [await small(22, { seed: 1 }), await small(22, { seed: 2 })]
    const first = await context.put(keyOf(22), one)
    // Replaced once, after the object was described and before it is read.
    let replaced: ObjectArrival | null = null
    const s3 = new Proxy(context.s3, {
      get: (client, name) =>
        name !== 'send'
          ? Reflect.get(client, name)
          : async (command: { constructor: { name: string } }, ...rest: unknown[]) => {
              if (command.constructor.name === 'GetObjectCommand' && replaced === null)
                replaced = await context.put(keyOf(22), two)
              return await (client.send as (...args: unknown[]) => Promise<unknown>).call(
                client,
                command,
                ...rest,
              )
            },
    })
    const outcome = await process(first, { ...context, s3 }).catch(() => process(first))
    expect(outcome).toBe('catalogued')
    const live = (await catalogued(22))?.files.filter((file) => file.isLive)
    expect(live?.map((file) => file.md5)).toEqual([createHash('md5').update(two).digest('hex')])
  })
})

describe('when things fail', () => {
  const failing = (): TestContext => ({
    ...context,
    s3: {
      send: (command: { constructor: { name: string } }) =>
        command.constructor.name === 'GetObjectCommand'
          ? Promise.reject(new Error('the disk is on fire'))
          : context.s3.send(command as never),
    } as never,
  })

  test('each attempt is counted with its error, and after the last one the arrival is failed and alerted', async () => {
    const arrival = await context.put(keyOf(30), await small(30))
    for (let attempt = 1; attempt <= ATTEMPTS_BEFORE_FAILING; attempt++) {
      const isLast = attempt === ATTEMPTS_BEFORE_FAILING
      expect(await process(arrival, failing())).toBe(isLast ? 'failed' : 'deferred')
      expect(await findArrival(context.database, arrival)).toMatchObject({
        state: isLast ? 'failed' : 'received',
        attempts: attempt,
        reason: expect.stringContaining('on fire'),
      })
    }
    expect(await drainRaised(context)).toEqual([
      expect.objectContaining({ rule: 'arrival-failed', runNumber: 30 }),
    ])
    expect(await process(arrival)).toBe('catalogued')
  })

  test('requests that were written but not sent are sent by the next scheduled call', async () => {
    await context.drain('tape-requests')
    const arrival = await context.put(keyOf(31), await small(31))
    const queues = { ...context.queues, send: () => Promise.reject(new Error('the queue is down')) }
    expect(await process(arrival, { ...context, queues })).toBe('catalogued')
    expect((await catalogued(31))?.run.complete).toBe(true)
    expect(await context.drain('tape-requests')).toHaveLength(0)
    const inAMinute = { ...context, now: () => new Date(Date.now() + 60_000) }
    await createTracker(inAMinute)(scheduledEvent('track-arrivals', new Date()), { signal, log: context.log })
    expect(await context.drain('tape-requests')).toEqual([expect.objectContaining({ runNumber: 31 })])
  })

  test('the arrival of a function that died with the lease is processed when the lease has expired', async () => {
    const arrival = await context.put(keyOf(32), await small(32))
    await process(arrival)
    const leaseEnds = (when: string) =>
      sql`UPDATE arrivals SET state = 'processing', lease_owner = 'the dead', lease_until = UTC_TIMESTAMP(3) + INTERVAL ${sql.raw(when)}
        WHERE object_key = ${keyOf(32)}`.execute(context.database)
    await leaseEnds('1 HOUR')
    expect(await process(arrival)).toBe('in-progress')
    await leaseEnds('-1 SECOND')
    expect(await process(arrival)).toBe('catalogued')
    expect(await findArrival(context.database, arrival)).toMatchObject({ state: 'done', nextAttemptAt: null })
  })
})

describe('the queue function', () => {
  const invoke = (bodies: readonly string[]) =>
    createHandler(context)(
      { Records: bodies.map((body, index) => ({ messageId: String(index), body })) } as never,
      {
        signal,
        log: context.log,
      },
    )

  test('reports only the message whose arrival could not be recorded, so that it is delivered again', async () => {
    const good = await context.put(keyOf(40), await small(40))
    const lost = await context.put(keyOf(41), await small(41))
    // The store fails for the second object, and the database fails right after.
    let isDown = false
    const s3 = {
      send: (command: { input: { Key?: string } }) => {
        isDown = command.input.Key === keyOf(41)
        return isDown ? Promise.reject(new Error('no')) : context.s3.send(command as never)
      },
    } as never
    const database = new Proxy(context.database, {
      get: (target, name) => {
        if (isDown) throw new Error('the database is down')
        const value = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const handler = createHandler({ ...context, s3, database })
    const Records = [good, lost].map((arrival, index) => ({
      messageId: String(index),
      body: encodeNotification([arrival]),
    }))
    expect(await handler({ Records } as never, { signal, log: context.log })).toEqual({
      batchItemFailures: [{ itemIdentifier: '1' }],
    })
    expect(await findArrival(context.database, lost)).toBeNull()
  })

  test('acknowledges a message once its arrival holds the error and the time of the next attempt', async () => {
    const arrival = await context.put(keyOf(42), await small(42))
    const s3 = { send: () => Promise.reject(new Error('no')) } as never
    const Records = [{ messageId: '0', body: encodeNotification([arrival]) }]
    expect(
      await createHandler({ ...context, s3 })({ Records } as never, { signal, log: context.log }),
    ).toEqual({ batchItemFailures: [] })
    expect(await findArrival(context.database, arrival)).toMatchObject({
      state: 'received',
      attempts: 1,
      reason: expect.stringContaining('no'),
      nextAttemptAt: expect.any(Date),
    })
  })

  test('keeps a message that it cannot parse, alerts once, and does not have it delivered again', async () => {
    await drainRaised(context)
    for (let time = 0; time < 2; time++)
      expect(await invoke(['{"Records": "what?"}'])).toEqual({ batchItemFailures: [] })
    expect((await listParked(context.database, 10))[0]).toMatchObject({ times: 2 })
    expect(await drainRaised(context)).toEqual([expect.objectContaining({ rule: 'parked-notification' })])
  })
})

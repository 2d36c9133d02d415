import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHandler } from '../../../functions/reconcile/handler.ts'
import { reconcile } from '../../../shared/ingest/reconcile.ts'
import { planReplay, replay } from '../../../shared/ingest/replay.ts'
import { parseNotification } from '../../../shared/notifications/parse.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { alertLines, drainRaised } from '../../support/alerts.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'

let context: TestContext
beforeAll(async () => {
  context = await startTestContext()
})
afterAll(() => context.close())

const run = (prefix: string, more: object = {}) =>
  reconcile(context, { bucket: context.bucket, prefix, graceSeconds: 0, ...more }, signal)

/** Drains the queue and returns the announced keys. */
async function announced(): Promise<string[]> {
  const bodies = await context.drain('runs')
  return bodies.flatMap((body) => parseNotification(body).arrivals.map((arrival) => arrival.key)).toSorted()
}

const setState = (key: string, values: string) =>
  sql`UPDATE arrivals SET ${sql.raw(values)} WHERE object_key = ${key}`.execute(context.database)

describe('the listing against the ledger', () => {
  test('announces runs, and objects with similar keys, that are not in the ledger, and nothing else', async () => {
    const keys = ['A/run1.mid.gz', 'A/run2.mid.lz4', 'A/Run3.mid.gz']
    for (const key of [...keys, 'A/notes.txt', 'A/run1.mid.crc32c', 'A/histograms_Run00001.root'])
      await context.put(key, key)
    await context.put('EVENTS/LNGS_1_1.dat', 'x')
    expect(await run('A/')).toMatchObject({ listed: 6, runs: 3, announced: 3, finished: true })
    expect(await announced()).toEqual(keys.toSorted())
    expect(await run('A/')).toMatchObject({ announced: 0 })
  })

  test('skips the youngest objects: their own notification may still come', async () => {
    await context.put('B/run1.mid.gz', 'x')
    expect(await run('B/', { graceSeconds: 3600 })).toMatchObject({ runs: 1, announced: 0 })
    expect(await run('B/')).toMatchObject({ announced: 1 })
    await announced()
  })

  test('announces again what the catalogue does not show, not arrivals that are due, in progress or invalid', async () => {
    const longAgo = 'announced_at = UTC_TIMESTAMP(3) - INTERVAL 2 HOUR'
    const cases: readonly [string, string, boolean][] = [
      ['C/run1.mid.gz', "state = 'processing', lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE", false],
      ['C/run2.mid.gz', "state = 'processing', lease_until = UTC_TIMESTAMP(3) + INTERVAL 1 HOUR", false],
      ['C/run3.mid.gz', `state = 'received', ${longAgo}`, false],
      ['C/run4.mid.gz', "state = 'received'", false],
      ['C/run5.mid.gz', `state = 'failed', attempts = 6, ${longAgo}`, false],
      ['C/run7.mid.gz', `state = 'failed', attempts = 40, next_attempt_at = NULL, ${longAgo}`, false],
      ['C/run8.mid.gz', "state = 'failed', outcome = 'gone', finished_at = UTC_TIMESTAMP(3)", true],
      ['C/run9.mid.gz', "state = 'invalid'", false],
      // Done, but the catalogue does not show this version: the store holds it again after another one.
      ['C/run10.mid.gz', "state = 'done'", true],
    ]
    for (const [key] of cases) await context.put(key, key)
    await run('C/')
    await announced()
    for (const [key, values] of cases) await setState(key, values)
    await run('C/')
    const again = cases.flatMap(([key, , isAgain]) => (isAgain ? [key] : [])).toSorted()
    expect(await announced()).toEqual(again)
    // They are also due in the ledger, since the messages about them may be lost.
    const due = await context.database
      .selectFrom('arrivals')
      .select('objectKey')
      .where('objectKey', 'in', again)
      .where('nextAttemptAt', '<=', new Date())
      .orderBy('objectKey')
      .execute()
    expect(due.map(({ objectKey }) => objectKey)).toEqual(again)
  })

  test('resumes where it was interrupted if asked to, and starts at the first key otherwise', async () => {
    for (const name of ['1', '2', '3']) await context.put(`D/run${name}.mid.gz`, name)
    const now = new Date()
    await context.database
      .insertInto('reconciliations')
      .values({
        bucket: context.bucket,
        prefix: 'D/',
        startAfter: 'D/run1.mid.gz',
        startedAt: now,
        updatedAt: now,
        finishedAt: null,
        listed: 1,
        enqueued: 1,
      })
      .execute()
    expect(await run('D/', { resume: true })).toMatchObject({ listed: 2, announced: 2, finished: true })
    expect(await announced()).toEqual(['D/run2.mid.gz', 'D/run3.mid.gz'])
    expect(await run('D/', { resume: true })).toMatchObject({ listed: 3, announced: 1 })
    expect(await announced()).toEqual(['D/run1.mid.gz'])
  })

  test('lists more than one page', async () => {
    await context.putAll(
      Array.from({ length: 1203 }, (_, index) => `E/run${index}.mid.gz`),
      'x',
    )
    expect(await run('E/')).toMatchObject({ listed: 1203, announced: 1203, finished: true })
    expect(new Set(await announced()).size).toBe(1203)
  })
})

interface ListCommand {
  readonly constructor: { readonly name: string }
  readonly input: { readonly Bucket?: string; readonly ContinuationToken?: string }
}
type Host = Parameters<typeof createHandler>[0]
/** The context with a store that answers some listings in another way. */
const storeThat = (answers: (command: ListCommand) => unknown): Host => ({
  ...context,
  s3: {
    send: async (command: ListCommand, ...rest: []) =>
      (command.constructor.name === 'ListObjectsV2Command' ? await answers(command) : null) ??
      (await context.s3.send(command as never, ...rest)),
  } as never,
})
const scheduled = (host: Host, stop = signal) =>
  createHandler(host)(scheduledEvent('reconcile', host.now()), { signal: stop, log: context.log })

describe('a listing', () => {
  test('goes on after a page without objects that is not the last one', async () => {
    await context.put('H/run1.mid.gz', 'x')
    const host = storeThat(({ input }) =>
      input.ContinuationToken === undefined
        ? { IsTruncated: true, NextContinuationToken: 'more' }
        : {
            Contents: [{ Key: 'H/run1.mid.gz', ETag: '"x"', Size: 1, LastModified: new Date('2026-01-01') }],
          },
    )
    const options = { bucket: context.bucket, prefix: 'H/', graceSeconds: 0 }
    expect(await reconcile(host, options, signal)).toMatchObject({ listed: 1, announced: 1, finished: true })
    await announced()
  })

  test('is not finished by a page that is not the last one and does not state where it continues', async () => {
    const options = { bucket: context.bucket, prefix: 'H/', graceSeconds: 0 }
    await expect(
      reconcile(
        storeThat(() => ({ IsTruncated: true })),
        options,
        signal,
      ),
    ).rejects.toThrow('does not state where it continues')
  })

  test('that makes no progress for an hour is alerted once a bucket and day', async () => {
    const host = storeThat(() => Promise.reject(Object.assign(new Error('no'), { name: 'AccessDenied' })))
    const failsAt = async (time: string) => {
      await expect(scheduled({ ...host, now: () => new Date(time) })).rejects.toThrow('no')
      return await drainRaised(context)
    }
    expect(await failsAt('2026-03-01T12:00:00Z')).toEqual([])
    expect(await failsAt('2026-03-01T12:55:00Z')).toEqual([])
    expect(await failsAt('2026-03-01T13:00:00Z')).toMatchObject([
      {
        rule: 'listing-fails',
        summary: expect.stringContaining(
          `the listing of ${context.bucket} has made no progress since 2026-03-01T12:00:00.000Z`,
        ),
      },
    ])
    expect(await failsAt('2026-03-01T23:00:00Z')).toEqual([])
    expect(await failsAt('2026-03-02T12:00:00Z')).toHaveLength(1)
    for (const minute of ['00', '05'])
      await scheduled({ ...context, now: () => new Date(`2026-03-02T13:${minute}:00Z`) })
    const lines = await alertLines(context.database)
    expect(lines.filter((line) => line.includes('listing-fails'))).toEqual([
      `raise listing-fails ${context.bucket}`,
      `raise listing-fails ${context.bucket}`,
      `resolve listing-fails ${context.bucket}`,
    ])
    expect(await failsAt('2026-03-02T14:30:00Z')).toEqual([])
    await announced()
  })

  test('of one bucket that hangs does not hold up the next bucket', async () => {
    const stop = new AbortController()
    const host = storeThat(({ input }) =>
      input.Bucket === 'hung'
        ? new Promise((_, reject) =>
            stop.signal.addEventListener('abort', () => reject(new Error('aborted'))),
          )
        : null,
    )
    const store = { ...context.config.store, rawBuckets: ['hung', context.bucket] }
    const config = { ...context.config, store }
    const finishedAt = () =>
      context.database
        .selectFrom('reconciliations')
        .select('finishedAt')
        .where('bucket', '=', context.bucket)
        .where('prefix', '=', '')
        .executeTakeFirst()
    const now = new Date()
    const call = scheduled({ ...host, config, now: () => now }, stop.signal)
    await expect.poll(finishedAt, { timeout: 10_000 }).toEqual({ finishedAt: now })
    stop.abort()
    await expect(call).rejects.toThrow('aborted')
    await announced()
  })

  test('makes every object due while the queue fails', async () => {
    const keys = Array.from({ length: 250 }, (_, index) => `I/run${index}.mid.gz`)
    await context.putAll(keys, 'x')
    const queues = { ...context.queues, send: () => Promise.reject(new Error('the queue is down')) }
    const options = { bucket: context.bucket, prefix: 'I/', graceSeconds: 0 }
    expect(await reconcile({ ...context, queues }, options, signal)).toMatchObject({ finished: true })
    const due = await context.database
      .selectFrom('arrivals')
      .select('id')
      .where('objectKey', 'like', 'I/%')
      .where('nextAttemptAt', 'is not', null)
      .execute()
    expect(due).toHaveLength(250)
  })

  test('announces an arrival again a day after its last attempt, while the object is there', async () => {
    const arrival = await context.put('J/run1.mid.gz', 'x')
    await run('J/')
    await setState(arrival.key, "state = 'failed', attempts = 30, next_attempt_at = NULL")
    await announced()
    expect(await run('J/')).toMatchObject({ announced: 0 })
    const in25Hours = () => new Date(Date.now() + 25 * 3_600_000)
    const later = { ...context, now: in25Hours }
    const options = { bucket: context.bucket, prefix: 'J/', graceSeconds: 0 }
    expect(await reconcile(later, options, signal)).toMatchObject({ announced: 1 })
    expect(await announced()).toEqual([arrival.key])
    await setState(arrival.key, "state = 'failed', attempts = 31, next_attempt_at = NULL")
    expect(await reconcile(later, options, signal)).toMatchObject({ announced: 0 })
  })
})

describe('a replay', () => {
  test('plans without changing anything, then resets the ledger and announces', async () => {
    const arrival = await context.put('F/run77.mid.gz', 'x')
    await run('F/')
    await announced()
    await setState(arrival.key, "state = 'done', outcome = 'catalogued', attempts = 1")
    const plan = await planReplay(context, { by: 'run', runNumber: 77, tag: 'F' }, signal)
    expect(plan).toMatchObject({ objects: [{ key: arrival.key }], gone: [] })
    expect(await announced()).toEqual([])
    await replay(context, plan, signal)
    expect(await announced()).toEqual([arrival.key])
    const row = await context.database
      .selectFrom('arrivals')
      .select(['state', 'attempts', 'source', 'nextAttemptAt'])
      .where('objectKey', '=', arrival.key)
      .executeTakeFirst()
    expect(row).toEqual({
      state: 'received',
      attempts: 0,
      source: 'replay',
      nextAttemptAt: expect.any(Date),
    })
  })

  test('reports objects that are no longer in the store', async () => {
    const plan = await planReplay(
      context,
      { by: 'key', bucket: context.bucket, key: 'F/run78.mid.gz' },
      signal,
    )
    expect(plan).toEqual({ objects: [], gone: [{ bucket: context.bucket, key: 'F/run78.mid.gz' }] })
  })

  test('finds a run by its number, not by a number that contains it', async () => {
    for (const name of ['run5.mid.gz', 'run00005.mid', 'run55.mid.gz', 'run5sub0001.mid.gz'])
      await context.put(`G/${name}`, name)
    await run('G/')
    await announced()
    const plan = await planReplay(context, { by: 'run', runNumber: 5, tag: 'G' }, signal)
    expect(plan.objects.map((object) => object.key).toSorted()).toEqual([
      'G/run00005.mid',
      'G/run5.mid.gz',
      'G/run5sub0001.mid.gz',
    ])
  })
})

/** An arrival that is not finished is always due again, counted and alerted, whatever interrupted it. */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../../cli/simulate/write.ts'
import { createHandler } from '../../../functions/track-arrivals/handler.ts'
import { findArrival, recordArrivals } from '../../../shared/catalogue/arrivals.ts'
import { findLiveFile } from '../../../shared/catalogue/runs.ts'
import type { Context } from '../../../shared/context.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import { reconcile } from '../../../shared/ingest/reconcile.ts'
import { planReplay, replay } from '../../../shared/ingest/replay.ts'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { beginCall } from '../../never-lost/call.ts'
import { databaseOf } from '../../never-lost/database.ts'
import { drainRaised } from '../../support/alerts.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'

type Host = Context<'database' | 'queues' | 's3'>

let context: TestContext
beforeAll(async () => {
  context = await startTestContext()
})
afterAll(() => context.close())

/** Minutes since now, by the clock of the functions. */
let minutes = 0
beforeEach(async () => {
  minutes = 0
  await context.database.deleteFrom('arrivals').execute()
  await context.database.deleteFrom('outbox').execute()
  await context.database.deleteFrom('breakers').execute()
  for (const queue of ['alerts', 'runs'] as const) await context.drain(queue)
})

const now = () => new Date(Date.now() + minutes * 60_000)
const at = (host: Host): Host => ({ ...host, now })
const beat = (host: Host = context) =>
  createHandler(at(host))(scheduledEvent('track-arrivals', now()), { signal, log: context.log })
const deliver = (arrival: ObjectArrival, host: Host = context) =>
  processArrival(at(host), arrival, signal, context.log)
const list = (arrival: ObjectArrival) =>
  reconcile(at(context), { bucket: context.bucket, prefix: arrival.key, graceSeconds: 0 }, signal)

let run = 0
const dropped = async (runNumber: number, seed = 1) =>
  await context.put(
    `LNGS/run${String(runNumber).padStart(5, '0')}.mid.gz`,
    await runFileBytes({ runNumber, seed, camera: 32, events: 12, digitizers: false }),
  )
/** An object whose notification is in the ledger. */
async function notified(): Promise<ObjectArrival> {
  const arrival = await dropped(++run)
  await recordArrivals(context.database, [arrival], now())
  return arrival
}
const rowOf = async (arrival: ObjectArrival) => {
  const row = await findArrival(context.database, arrival)
  if (row === null) throw new Error('the ledger does not know it')
  return row
}
const set = (arrival: ObjectArrival, values: string) =>
  sql`UPDATE arrivals SET ${sql.raw(values)} WHERE object_key = ${arrival.key}`.execute(context.database)
const ABANDONED = `state = 'processing', attempts = 1, lease_owner = 'x', lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR`

interface Command {
  readonly constructor: { readonly name: string }
  readonly input: { readonly Key?: string }
}
/** The context with a store that answers some requests in another way. */
const storeThat = (answers: (command: Command) => unknown): Host => ({
  ...context,
  s3: {
    send: async (command: Command, ...rest: []) =>
      (await answers(command)) ?? (await context.s3.send(command as never, ...rest)),
  } as never,
})
const failing = (kind: string, error: Error = new Error('refused')) =>
  storeThat((command) => (command.constructor.name === kind ? Promise.reject(error) : null))
const unreachable = () => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
const down = () => storeThat(() => Promise.reject(unreachable()))
const alerts = async () => (await drainRaised(context)).map(({ rule }) => rule)
const breakers = () => context.database.selectFrom('breakers').select(['failures', 'openSince']).execute()

test('an arrival that was ignored by a wrong configuration is catalogued after the next listing', async () => {
  const arrival = await notified()
  const store = { ...context.config.store, ignoredPrefixes: ['LNGS/'] }
  await beat({ ...context, config: { ...context.config, store } })
  expect(await rowOf(arrival)).toMatchObject({ state: 'received', nextAttemptAt: null })
  minutes = 5
  expect(await list(arrival)).toMatchObject({ announced: 1 })
  await beat()
  expect(await rowOf(arrival)).toMatchObject({ state: 'done', outcome: 'catalogued' })
})

test('an arrival that was given up after the last attempt is not announced by the listing', async () => {
  const arrival = await notified()
  await set(arrival, `state = 'failed', attempts = 30, next_attempt_at = NULL`)
  expect(await list(arrival)).toMatchObject({ announced: 0 })
})

describe('a store that is down', () => {
  test('is counted and alerted although only arrivals that dead functions abandoned are due', async () => {
    const arrival = await notified()
    await set(arrival, ABANDONED)
    for (minutes = 1; minutes <= 10; minutes++) await beat(down())
    expect(await breakers()).toEqual([{ failures: expect.any(Number), openSince: expect.any(Date) }])
    expect(await alerts()).toEqual(['store-fails'])
    await beat()
    expect(await rowOf(arrival)).toMatchObject({ state: 'done' })
  })

  test('is still down after an arrival about which the store is not asked', async () => {
    for (const arrival of [await notified(), await notified(), await notified()])
      await deliver(arrival, down())
    const [before] = await breakers()
    const misnamed = { ...(await dropped(++run)), key: 'LNGS/run 12.mid' }
    await recordArrivals(context.database, [misnamed], new Date(0))
    minutes = 2
    await beat(down())
    expect(await rowOf(misnamed)).toMatchObject({ state: 'invalid' })
    const [after] = await breakers()
    expect(after?.openSince).toEqual(before?.openSince)
    expect(after?.openSince).not.toBeNull()
  })

  test('is counted when it fails after the object was read', async () => {
    const arrival = await notified()
    // Several versions: the store is asked which is current before one is catalogued.
    await recordArrivals(context.database, [{ ...arrival, etag: 'e'.repeat(32) }], now())
    let described = 0
    const host = storeThat(({ constructor: { name } }) =>
      name === 'HeadObjectCommand' && ++described > 1 ? Promise.reject(unreachable()) : null,
    )
    expect(await deliver(arrival, host)).toBe('deferred')
    expect(await breakers()).toEqual([{ failures: 1, openSince: null }])
  })
})

describe('an object that the store states to have changed', () => {
  test('at each reading counts as failed after growing delays, with an alert', async () => {
    const arrival = await notified()
    const changed = Object.assign(new Error('412'), {
      name: 'PreconditionFailed',
      $metadata: { httpStatusCode: 412 },
    })
    for (let call = 1; call <= 6; call++) {
      await beat(failing('GetObjectCommand', changed))
      expect(await rowOf(arrival)).toMatchObject({ attempts: call })
      minutes += 60
    }
    expect(await rowOf(arrival)).toMatchObject({ state: 'failed' })
    expect(await alerts()).toEqual(['arrival-failed'])
  })

  test('each time that it was read is due again in the version that was written last', async () => {
    const arrival = await notified()
    await recordArrivals(context.database, [{ ...arrival, etag: 'e'.repeat(32) }], now())
    let described = 0
    const host = storeThat(async ({ constructor: { name } }) => {
      if (name === 'HeadObjectCommand' && ++described % 2 === 0) await dropped(run, 10 + described)
      return null
    })
    expect(await deliver(arrival, host)).toBe('deferred')
    minutes = 2
    await beat()
    expect((await findLiveFile(context.database, arrival))?.etag).toBe((await dropped(run, 16)).etag)
  })
})

test('attempts at an arrival that was notified by its version id without an ETag are counted', async () => {
  const arrival = await dropped(++run)
  const hint = { ...arrival, etag: null, versionId: 'V1' }
  const host = storeThat(async (command) => {
    if (command.constructor.name === 'GetObjectCommand') throw new Error('refused')
    return { ...((await context.s3.send(command as never)) as object), VersionId: 'V1' }
  })
  await recordArrivals(context.database, [hint], now())
  for (let attempt = 1; attempt <= 3; attempt++) {
    await beat(host)
    expect(await rowOf(hint)).toMatchObject({ state: 'received', attempts: attempt, etag: arrival.etag })
    minutes += 60
  }
})

test('a failed check of an arrival that was catalogued after failures is no alert', async () => {
  const arrival = await notified()
  await set(arrival, 'attempts = 5')
  expect(await deliver(arrival)).toBe('catalogued')
  expect(await deliver(arrival, failing('HeadObjectCommand'))).toBe('deferred')
  expect(await rowOf(arrival)).toMatchObject({ state: 'done', outcome: 'catalogued' })
  expect(await alerts()).toEqual([])
})

test('an arrival of a missing object that cannot be checked later is retried, not announced by each listing', async () => {
  const arrival = await notified()
  await beat(failing('HeadObjectCommand', Object.assign(new Error('no'), { name: 'NotFound' })))
  expect(await rowOf(arrival)).toMatchObject({ state: 'failed', outcome: 'gone' })
  expect(await list(arrival)).toMatchObject({ announced: 1 })
  await beat(failing('HeadObjectCommand'))
  expect(await rowOf(arrival)).toMatchObject({ outcome: null, attempts: 1 })
  expect(await list(arrival)).toMatchObject({ announced: 0 })
})

test('a function that dies at any request about an older version leaves a known version due', {
  tags: ['long'],
}, async () => {
  for (let point = 1; ; point++) {
    const first = await dropped(++run, 1)
    await deliver(first)
    await deliver(await dropped(run, 2))
    // The contents of the first again: its row is finished.
    await dropped(run, 1)
    const older = { ...first, etag: 'f'.repeat(32) }
    await recordArrivals(context.database, [older], now())
    let hasDied = false
    const onAccident = () => {
      hasDied = true
    }
    const accident = { kind: 'dies', place: 'database', at: point, done: false } as const
    const call = beginCall({ name: 'x', begunAt: Date.now(), accident, pace: [], onAccident })
    const process = { ...context, owner: 'x', database: databaseOf(context.database, Date.now, call) }
    await deliver(older, process).catch(() => {})
    await sql`UPDATE arrivals SET lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR WHERE lease_owner IS NOT NULL`.execute(
      context.database,
    )
    minutes += 2
    await beat()
    expect((await findLiveFile(context.database, first))?.etag).toBe(first.etag)
    if (!hasDied) return expect(point).toBeGreaterThan(5)
  }
})

test('an arrival that fails again after a replay is alerted again', async () => {
  const arrival = await notified()
  const fail = async () => {
    for (let attempt = 1; attempt <= 7; attempt++) {
      await beat(failing('GetObjectCommand'))
      minutes += 400
    }
    return await alerts()
  }
  expect(await fail()).toEqual(['arrival-failed'])
  const plan = await planReplay(context, { by: 'key', bucket: arrival.bucket, key: arrival.key }, signal)
  await replay(at(context), plan, signal)
  expect(await fail()).toEqual(['arrival-failed'])
})

test('an object that killed its readers and was given up interrupts no other attempt when it is tried again', async () => {
  const killer = await notified()
  await set(killer, ABANDONED)
  await set(killer, 'attempts = 6')
  await beat()
  expect(await rowOf(killer)).toMatchObject({ state: 'failed' })
  minutes = 60
  const other = await notified()
  let order: string[] = []
  const host = storeThat(({ constructor: { name }, input }) => {
    if (name === 'HeadObjectCommand') order = [...order, input.Key ?? '']
    return null
  })
  await beat(host)
  // One after the other, although the killer has been due for longer.
  expect([...new Set(order)]).toEqual([other.key, killer.key])
})

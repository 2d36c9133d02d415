/**
 * Every minute the due arrivals are found in the ledger: an arrival is processed even if its message is lost
 * or its function dies.
 */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../../cli/simulate/write.ts'
import { createHandler } from '../../../functions/track-arrivals/handler.ts'
import { findArrival, recordArrivals } from '../../../shared/catalogue/arrivals.ts'
import { findLiveFile } from '../../../shared/catalogue/runs.ts'
import type { Context } from '../../../shared/context.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import { reconcile } from '../../../shared/ingest/reconcile.ts'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { ATTEMPTS_BEFORE_FAILING } from '../../../shared/work/retry-policy.ts'
import { beginCall, type Call, Died } from '../../never-lost/call.ts'
import { databaseOf } from '../../never-lost/database.ts'
import { drainRaised } from '../../support/alerts.ts'
import { signal, startTestContext, type TestContext } from '../../support/context.ts'

type Host = Context<'database' | 'queues' | 's3'>

let context: TestContext
beforeAll(async () => {
  context = await startTestContext()
})
afterAll(() => context.close())

const MINUTE_MS = 60_000
/** Minutes since now, by the clock of the functions. */
let minutes = 0
beforeEach(async () => {
  minutes = 0
  await context.database.deleteFrom('arrivals').execute()
  await context.database.deleteFrom('outbox').execute()
  await context.database.deleteFrom('breakers').execute()
  for (const queue of ['tape-requests', 'reco-requests', 'alerts', 'runs'] as const)
    await context.drain(queue)
})

const now = () => new Date(Date.now() + minutes * MINUTE_MS)
const at = (host: Host): Host => ({ ...host, now })
const beat = (host: Host = context) =>
  createHandler(at(host))(scheduledEvent('track-arrivals', now()), { signal, log: context.log })
const deliver = (arrival: ObjectArrival, host: Host = context) =>
  processArrival(at(host), arrival, signal, context.log)

let run = 0
/** An object whose notification is in the ledger; the message about it is lost. */
async function notified(): Promise<ObjectArrival> {
  const arrival = await dropped(++run, 1)
  await recordArrivals(context.database, [arrival], now())
  return arrival
}
const keyOf = (runNumber: number) => `LNGS/run${String(runNumber).padStart(5, '0')}.mid.gz`
const dropped = async (runNumber: number, seed: number) =>
  await context.put(
    keyOf(runNumber),
    await runFileBytes({ runNumber, seed, camera: 32, events: 12, digitizers: false }),
  )
const rowOf = async (arrival: ObjectArrival) => {
  const row = await findArrival(context.database, arrival)
  if (row === null) throw new Error('the ledger does not know it')
  return row
}
const set = (arrival: ObjectArrival, values: string) =>
  sql`UPDATE arrivals SET ${sql.raw(values)} WHERE object_key = ${arrival.key}`.execute(context.database)
/**
 * Expires all leases an hour ago, as if functions had died: the sessions of dead processes keep their time.
 */
const expireLeases = () =>
  sql`UPDATE arrivals SET lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR WHERE lease_owner IS NOT NULL`.execute(
    context.database,
  )
const minutesUntil = (date: Date | null) => ((date?.getTime() ?? Number.NaN) - now().getTime()) / MINUTE_MS

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

/** A process of its own, which may die. */
const processOf = (call: Call): Host => ({
  ...context,
  owner: `process-${Math.random()}`,
  database: databaseOf(context.database, Date.now, call),
  s3: {
    send: (command: Command, ...rest: []) =>
      call.through('store', () => context.s3.send(command as never, ...rest)),
  } as never,
  queues: {
    ...context.queues,
    send: (...sent: Parameters<Host['queues']['send']>) =>
      call.through('queue', () => context.queues.send(...sent)),
  },
})

describe('an arrival is found due in the ledger', () => {
  test('when no message about it is ever delivered', async () => {
    const arrivals = [await notified(), await notified(), await notified()]
    await beat()
    for (const arrival of arrivals) {
      expect(await rowOf(arrival)).toMatchObject({
        state: 'done',
        outcome: 'catalogued',
        nextAttemptAt: null,
      })
      expect(await findLiveFile(context.database, arrival)).not.toBeNull()
    }
    expect(await context.drain('tape-requests')).toHaveLength(3)
  })

  test('when a dead function abandoned it or its time has come, not while it is leased or finished', async () => {
    const past = 'next_attempt_at = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR'
    const lease = (when: string) => `lease_owner = 'x', lease_until = UTC_TIMESTAMP(3) + INTERVAL ${when}`
    const cases: readonly [string, boolean][] = [
      [`state = 'processing', attempts = 1, ${lease('-1 MINUTE')}`, true],
      [`state = 'processing', attempts = 1, ${lease('1 HOUR')}`, false],
      [`state = 'received', ${past}`, true],
      [`state = 'received', attempts = 3, next_attempt_at = UTC_TIMESTAMP(3) + INTERVAL 1 HOUR`, false],
      [`state = 'received', attempts = 9, next_attempt_at = UTC_TIMESTAMP(3) + INTERVAL 6 HOUR`, false],
      // Written while the database's clock was ahead: nothing waits for that long.
      [`state = 'received', next_attempt_at = UTC_TIMESTAMP(3) + INTERVAL 2 DAY`, true],
      [`state = 'failed', attempts = 6, ${past}`, true],
      [`state = 'failed', attempts = 30, next_attempt_at = NULL`, false],
      [`state = 'invalid', next_attempt_at = NULL`, false],
      // The listing showed that the store holds this version again.
      [`state = 'done', outcome = 'superseded', ${past}`, true],
    ]
    const arrivals = await Promise.all(
      cases.map(async ([values, isTaken]) => {
        const arrival = await notified()
        await set(arrival, values)
        return { arrival, before: await rowOf(arrival), isTaken }
      }),
    )
    await beat()
    for (const { arrival, before, isTaken } of arrivals)
      if (isTaken)
        expect(await rowOf(arrival)).toMatchObject({
          state: 'done',
          outcome: 'catalogued',
          nextAttemptAt: null,
        })
      else expect(await rowOf(arrival)).toEqual(before)
  })

  test('and is not due any more when there is nothing to do for it', async () => {
    const unchanged = await notified()
    await deliver(unchanged)
    const known = await notified()
    const gone = { ...known, key: 'LNGS/run99999.mid.gz' }
    const ignored = { ...known, key: 'EVENTS/LNGS_1700000000_1.dat' }
    await recordArrivals(context.database, [gone, ignored], now())
    await set(unchanged, 'next_attempt_at = UTC_TIMESTAMP(3)')
    await beat()
    for (const arrival of [unchanged, gone, ignored])
      expect(await rowOf(arrival)).toMatchObject({ nextAttemptAt: null })
    expect(await rowOf(gone)).toMatchObject({ state: 'failed', outcome: 'gone' })
    expect(await rowOf(unchanged)).toMatchObject({ state: 'done', attempts: 1 })
  })

  test('while messages about it and about an older version arrive twice and out of order', async () => {
    const first = await notified()
    const second = await dropped(run, 2)
    await recordArrivals(context.database, [second], now())
    await Promise.all([deliver(second), beat(), deliver(first), deliver(first), beat(), deliver(second)])
    minutes = 2
    await beat()
    expect((await findLiveFile(context.database, first))?.etag).toBe(second.etag)
    expect(await rowOf(first)).toMatchObject({ state: 'done', nextAttemptAt: null })
    expect(await rowOf(second)).toMatchObject({ state: 'done', outcome: 'catalogued' })
    const requests = (await context.drain('tape-requests')).map(({ request }) => request)
    expect(new Set(requests).size).toBe(1)
  })
})

describe('an attempt that fails', () => {
  test('is repeated after growing delays, becomes failed with an alert, and is repeated until the 30th attempt', async () => {
    const arrival = await notified()
    const delays: number[] = []
    for (let attempt = 1; attempt <= 30; attempt++) {
      await beat(failing('GetObjectCommand'))
      const row = await rowOf(arrival)
      expect(row).toMatchObject({
        state: attempt < ATTEMPTS_BEFORE_FAILING ? 'received' : 'failed',
        attempts: attempt,
        reason: expect.stringContaining('refused'),
        leaseOwner: null,
      })
      if (attempt === 30) expect(row.nextAttemptAt).toBeNull()
      else {
        delays.push(minutesUntil(row.nextAttemptAt))
        // Until then it is not due.
        await beat(storeThat(() => Promise.reject(new Error('it was taken too early'))))
        minutes += delays.at(-1) ?? 0
      }
    }
    for (const [index, minutesOfPolicy] of [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360].entries()) {
      expect(delays[index]).toBeGreaterThan(minutesOfPolicy * 0.85)
      expect(delays[index]).toBeLessThan(minutesOfPolicy * 1.15)
    }
    const alerted = (what: string) => ({
      rule: 'arrival-failed',
      runNumber: run,
      summary: expect.stringContaining(what),
    })
    expect(await drainRaised(context)).toMatchObject([
      alerted('after 6 tries: '),
      alerted('after 30 tries, and its regular tries have ended: '),
    ])
  })

  test('because the function is stopped from outside does not count, unless its time limit was reached', async () => {
    const arrival = await notified()
    const stoppedAfter = async (afterMinutes: number) => {
      const stop = new AbortController()
      const host = storeThat((command) => {
        if (command.constructor.name !== 'GetObjectCommand') return null
        minutes += afterMinutes
        stop.abort()
        return Promise.reject(new Error('aborted'))
      })
      expect(await processArrival(at(host), arrival, stop.signal, context.log)).toBe('deferred')
      return await rowOf(arrival)
    }
    expect(await stoppedAfter(14)).toMatchObject({
      attempts: 1,
      reason: expect.stringContaining('time limit'),
    })
    await set(arrival, 'attempts = 0')
    expect(await stoppedAfter(1)).toMatchObject({ state: 'received', attempts: 0 })
    await beat()
    expect(await rowOf(arrival)).toMatchObject({ state: 'done', attempts: 1 })
  })

  test('because the database fails is not recorded, and is repeated when the lease has expired', async () => {
    const arrival = await dropped(++run, 1)
    let call: Call | null = null
    const died = beginCall({
      name: 'extract-metadata',
      begunAt: Date.now(),
      accident: null,
      pace: [],
      onAccident: () => {},
    })
    const through: Call['through'] = async (place, ask) => {
      if (place === 'database' && call !== null) throw new Error('Connection lost')
      return await ask()
    }
    const host = processOf({ ...died, through })
    const s3 = {
      send: (command: Command) => {
        if (command.constructor.name === 'GetObjectCommand') call = died
        return context.s3.send(command as never)
      },
    } as never
    // The message is not acknowledged: it is delivered again.
    await expect(deliver(arrival, { ...host, s3 })).rejects.toThrow('Connection lost')
    expect(await rowOf(arrival)).toMatchObject({ state: 'processing', attempts: 1 })
    minutes = 2
    await beat()
    expect(await rowOf(arrival)).toMatchObject({ state: 'processing', attempts: 1 })
    await expireLeases()
    await beat()
    expect(await rowOf(arrival)).toMatchObject({ state: 'done', attempts: 2 })
  })
})

describe('a store that is down', () => {
  const down = () => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })

  test.each([
    ['arrivals that wait', "state = 'received'"],
    [
      'arrivals that dead functions left',
      "state = 'processing', attempts = 1, lease_owner = 'x', lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR",
    ],
  ])(
    'for an hour costs %s no attempts, is alerted once, probed every minute and then caught up with',
    async (_, values) => {
      const arrivals = await Promise.all(Array.from({ length: 5 }, () => notified()))
      for (const arrival of arrivals) await set(arrival, values)
      const before = (await rowOf(arrivals[0] as ObjectArrival)).attempts
      let asked = 0
      const isDown = storeThat(() => {
        asked++
        return Promise.reject(down())
      })
      for (let beats = 0; beats < 3; beats++) await beat(isDown)
      // Nor does a message, which is one more probe.
      await deliver(arrivals[4] as ObjectArrival, isDown)
      for (minutes = 1; minutes <= 60; minutes++) {
        asked = 0
        await beat(isDown)
        expect(asked).toBe(1)
      }
      for (const arrival of arrivals) {
        const { attempts, state } = await rowOf(arrival)
        expect(state).toMatch(/received|processing/)
        expect(attempts).toBeLessThanOrEqual(before + 1)
      }
      await beat()
      for (const arrival of arrivals) expect(await rowOf(arrival)).toMatchObject({ state: 'done' })
      expect(await drainRaised(context)).toEqual([expect.objectContaining({ rule: 'store-fails' })])
    },
  )

  test('is not inferred from the failures of a few objects while others can be read', async () => {
    const [one, other] = [await notified(), await notified()]
    const broken = new Set([one.key, other.key])
    const host = storeThat((command) =>
      command.constructor.name === 'GetObjectCommand' && broken.has(command.input.Key ?? '')
        ? Promise.reject(Object.assign(new Error('a bad disk'), { name: 'AccessDenied' }))
        : null,
    )
    for (let attempt = 1; attempt <= ATTEMPTS_BEFORE_FAILING; attempt++)
      for (const arrival of [one, other]) {
        await deliver(arrival, host)
        expect(await deliver(await dropped(++run, 1), host)).toBe('catalogued')
      }
    for (const arrival of [one, other])
      expect(await rowOf(arrival)).toMatchObject({ state: 'failed', attempts: ATTEMPTS_BEFORE_FAILING })
  })
})

test('objects that cannot be read, while others can, are alerted as such and hardly as a failing store', {
  timeout: 120_000,
}, async () => {
  const broken = await Promise.all(Array.from({ length: 6 }, () => notified()))
  const keys = new Set(broken.map(({ key }) => key))
  const host = storeThat((command) =>
    command.constructor.name === 'GetObjectCommand' && keys.has(command.input.Key ?? '')
      ? Promise.reject(new Error('unfound object'))
      : null,
  )
  for (minutes = 1; minutes <= 120; minutes++) {
    if (minutes % 10 === 0) await deliver(await dropped(++run, 1), host)
    await beat(host)
  }
  const rules = (await drainRaised(context)).map(({ rule }) => rule)
  expect(rules.filter((rule) => rule === 'arrival-failed')).toHaveLength(6)
  // Until each has failed once by itself.
  expect(rules.filter((rule) => rule === 'store-fails').length).toBeLessThan(5)
})

describe('a function that dies', () => {
  interface Life {
    readonly what: string
    /** Prepares what is known when the function starts; returns its input. */
    prepare(): Promise<ObjectArrival>
    begin(arrival: ObjectArrival, process: Host): Promise<unknown>
  }
  const lives: readonly Life[] = [
    { what: 'with an arrival of the ledger', prepare: notified, begin: deliver },
    { what: 'with an arrival that is due', prepare: notified, begin: (_, process) => beat(process) },
    {
      what: 'with an arrival that a newer version has replaced',
      async prepare() {
        const stale = await notified()
        await dropped(run, 2)
        return stale
      },
      begin: deliver,
    },
    // Without a row, the object is known only from its message: the listing finds it.
    { what: 'with a first notification', prepare: () => dropped(++run, 1), begin: deliver },
  ]
  test.each(lives.flatMap((life) => [true, false].map((done) => ({ ...life, done }))))(
    '$what, at any of its requests (carried out: $done), leaves it to be catalogued once',
    { timeout: 300_000, tags: ['long'] },
    async ({ prepare, begin, done }) => {
      for (let point = 0; ; point++) {
        const arrival = await prepare()
        let hasDied = false
        const onAccident = () => {
          hasDied = true
        }
        const accident = { kind: 'dies', place: null, at: point, done } as const
        const call = beginCall({ name: 'x', begunAt: Date.now(), accident, pace: [], onAccident })
        await begin(arrival, processOf(call)).catch(() => {})
        await expireLeases()
        minutes += 2
        const listed = { bucket: context.bucket, prefix: arrival.key, graceSeconds: 0 }
        if ((await findArrival(context.database, arrival)) === null)
          expect(await reconcile(at(context), listed, signal)).toMatchObject({ announced: 1 })
        await beat()
        const rows = await context.database
          .selectFrom('arrivals')
          .select(['state', 'outcome', 'nextAttemptAt'])
          .where('objectKey', '=', arrival.key)
          .orderBy('id', 'desc')
          .execute()
        expect(rows[0]).toEqual({ state: 'done', outcome: 'catalogued', nextAttemptAt: null })
        for (const row of rows.slice(1))
          expect(row).toEqual({ state: 'done', outcome: 'superseded', nextAttemptAt: null })
        const files = await context.database
          .selectFrom('runFiles')
          .select('isLive')
          .where('objectKey', '=', arrival.key)
          .execute()
        // A second function may have read the same contents again: one row is current.
        expect(files.filter(({ isLive }) => isLive)).toHaveLength(1)
        const requests = await context.database
          .selectFrom('outbox')
          .select(['name', 'sentAt'])
          // The clock of this test is ahead of the store's.
          .where('name', 'not like', 'alert:clock-differs:%')
          .execute()
        expect(requests.filter(({ sentAt }) => sentAt === null)).toEqual([])
        expect(requests.map(({ name }) => name.split(':')[0]).toSorted()).toEqual(['reco', 'tape'])
        await context.database.deleteFrom('outbox').execute()
        if (!hasDied) return expect(point).toBeGreaterThan(20)
      }
    },
  )

  test('each time because of one object costs no other arrival an attempt, and that object fails with an alert', async () => {
    const arrivals = await Promise.all(Array.from({ length: 4 }, () => notified()))
    const [killer, ...others] = arrivals as [ObjectArrival, ...ObjectArrival[]]
    let beats = 0
    while ((await rowOf(killer)).state !== 'failed') {
      expect(++beats).toBeLessThan(12)
      let isDead = false
      const call = beginCall({
        name: 'x',
        begunAt: Date.now(),
        accident: null,
        pace: [],
        onAccident: () => {},
      })
      const through: Call['through'] = async (_place, ask) => {
        if (isDead) throw new Died('the process died')
        return await ask()
      }
      const host = processOf({ ...call, through })
      const s3 = {
        send: async (command: Command) => {
          if (
            isDead ||
            (command.constructor.name === 'GetObjectCommand' && command.input.Key === killer.key)
          ) {
            isDead = true
            throw new Died('the process died')
          }
          return await context.s3.send(command as never)
        },
      } as never
      await beat({ ...host, s3 }).catch(() => {})
      await expireLeases()
      minutes++
    }
    for (const arrival of others) {
      const { state, attempts } = await rowOf(arrival)
      expect(state).toBe('done')
      expect(attempts).toBeLessThanOrEqual(2)
    }
    const { attempts, reason, nextAttemptAt } = await rowOf(killer)
    expect(attempts).toBe(ATTEMPTS_BEFORE_FAILING)
    expect(reason).toContain('died 6 times')
    expect(minutesUntil(nextAttemptAt)).toBeGreaterThan(25)
    expect(await drainRaised(context)).toEqual([expect.objectContaining({ rule: 'arrival-failed' })])
  })
})

test('requests that were written and not sent are sent by the next scheduled call', async () => {
  const arrival = await notified()
  const queues = { ...context.queues, send: () => Promise.reject(new Error('the queue is down')) }
  expect(await deliver(arrival, { ...context, queues })).toBe('catalogued')
  expect(await context.drain('tape-requests')).toEqual([])
  minutes = 1
  await beat()
  expect(await context.drain('tape-requests')).toEqual([expect.objectContaining({ runNumber: run })])
})

/** An arrival that is not finished is always due again, counted and alerted, whatever interrupted it. */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../../cli/simulate/write.ts'
import { createHandler } from '../../../functions/track-arrivals/handler.ts'
import { findArrival, recordArrivals } from '../../../shared/catalogue/arrivals.ts'
import type { Context } from '../../../shared/context.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import { reconcile } from '../../../shared/ingest/reconcile.ts'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
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
const alerts = async () => (await context.drain('alerts')).map(({ rule }) => rule)
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

/** A database that stops answering blocks no caller for ever, and no place in the pool. */
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { startTestDatabase, type TestDatabase } from '../../../infra/local/testing.ts'
import {
  type Database,
  inTransaction,
  openDatabase,
  WITHOUT_LIMITS,
} from '../../../shared/database/connect.ts'
import { classify } from '../../../shared/errors.ts'
import { type SilentProxy, startSilentProxy } from '../../support/silent-proxy.ts'
import { until } from '../../support/waiting.ts'

/** A thousand times longer than a statement on a quiet machine, so that only a silent server reaches it. */
const TIMEOUT_MS = 5000

let server: TestDatabase
let proxy: SilentProxy
let database: Database
beforeAll(async () => {
  server = await startTestDatabase()
})
beforeEach(async () => {
  const url = new URL(server.url)
  proxy = await startSilentProxy(Number(url.port))
  url.port = String(proxy.port)
  database = openDatabase(url.href, 1, { statementSeconds: 60, clientTimeoutMs: TIMEOUT_MS })
})
afterEach(async () => {
  await database.destroy()
  await proxy.close()
})
afterAll(() => server.drop())

const one = async () => (await sql<{ one: number }>`SELECT 1 AS one`.execute(database)).rows[0]?.one
const timeout = { code: 'PROTOCOL_SEQUENCE_TIMEOUT' }

it('a statement without an answer fails with a transient error, and the next one has a connection again', async () => {
  expect(await one()).toBe(1)
  proxy.silence()
  const failure = await one().catch((error: unknown) => error)
  expect(failure).toMatchObject(timeout)
  expect(classify(failure).name).toBe('TransientError')
  proxy.restore()
  expect(await one()).toBe(1)
  await until(() => proxy.open === 1)
})

it('a process can end while a statement has no answer', async () => {
  const url = new URL(server.url)
  url.port = String(proxy.port)
  const ending = openDatabase(url.href, 1, { statementSeconds: 60, clientTimeoutMs: TIMEOUT_MS })
  const observer = openDatabase(server.url, 1)
  try {
    const silenced = sql`SELECT SLEEP(50) AS waits_for_ever`.execute(ending)
    silenced.catch(() => {})
    const begun = sql`SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(50)%'`
    await until(async () => (await begun.execute(observer)).rows.length === 1)
    proxy.silence()
    await ending.destroy()
    await expect(silenced).rejects.toThrow()
  } finally {
    await observer.destroy()
  }
})

it('a change of the schema has no time limit', async () => {
  const unlimited = openDatabase(server.url, 1, WITHOUT_LIMITS)
  try {
    const { rows } = await sql<{ limit: number }>`SELECT @@SESSION.max_statement_time AS \`limit\``.execute(
      unlimited,
    )
    expect(rows[0]?.limit).toBe(0)
    await sql`SELECT SLEEP(1.2)`.execute(unlimited)
  } finally {
    await unlimited.destroy()
  }
})

it('a statement that waited for a connection without an answer gets another connection', async () => {
  await one()
  proxy.silence()
  const first = one()
  const second = one()
  proxy.restore()
  await expect(first).rejects.toMatchObject(timeout)
  expect(await second).toBe(1)
})

it('a transaction without an answer fails and frees its place in the pool', async () => {
  await one()
  const work = inTransaction(database, async (trx) => {
    await sql`SELECT 1`.execute(trx)
    proxy.silence()
    await sql`SELECT 1`.execute(trx)
  })
  await expect(work).rejects.toThrow()
  proxy.restore()
  expect(await one()).toBe(1)
})

it('a slow answer is not a timeout', async () => {
  await one()
  const slow = sql<{ slept: number }>`SELECT SLEEP(0.5) AS slept`.execute(database)
  expect((await slow).rows).toHaveLength(1)
})

it('every connection has the session settings: UTC, strict mode and a time limit for statements', async () => {
  const settings = () =>
    sql<
      Record<string, unknown>
    >`SELECT @@time_zone AS zone, @@sql_mode AS mode, @@max_statement_time AS seconds,
      @@tx_isolation AS isolation`.execute(database)
  const expected = {
    zone: '+00:00',
    mode: expect.stringContaining('STRICT_ALL_TABLES'),
    seconds: 60,
    isolation: 'READ-COMMITTED',
  }
  expect((await settings()).rows[0]).toMatchObject(expected)
  proxy.silence()
  await one().catch(() => {})
  proxy.restore()
  expect((await settings()).rows[0]).toMatchObject(expected)
})

it('the reason why there is no connection is reported', async () => {
  const url = new URL(server.url)
  url.password = 'wrong'
  const other = openDatabase(url.href, 1)
  await expect(sql`SELECT 1`.execute(other)).rejects.toMatchObject({ code: 'ER_ACCESS_DENIED_ERROR' })
  await other.destroy()
})

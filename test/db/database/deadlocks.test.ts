/**
 * Deadlocks are normal in a database that several processes write to. The statement or transaction that is
 * rolled back is repeated, and its caller sees no error.
 */
import { sql } from 'kysely'
import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestDatabase, type TestDatabase } from '../../../infra/local/testing.ts'
import { type Database, inTransaction, openDatabase } from '../../../shared/database/connect.ts'
import { until } from '../../support/waiting.ts'

let server: TestDatabase
let database: Database
let prober: Database
beforeAll(async () => {
  server = await startTestDatabase()
  database = openDatabase(server.url, 4)
  prober = openDatabase(server.url, 1)
  await sql`CREATE TABLE held (id INT PRIMARY KEY, value INT NOT NULL) ENGINE = InnoDB`.execute(database)
})
beforeEach(async () => {
  await sql`DELETE FROM held`.execute(database)
  await sql`INSERT INTO held SELECT seq, 0 FROM seq_1_to_200`.execute(database)
})
afterAll(async () => {
  await Promise.all([database.destroy(), prober.destroy()])
  await server.drop()
})

const total = async () =>
  Number(
    (await sql<{ total: number }>`SELECT SUM(value) AS total FROM held`.execute(database)).rows[0]?.total,
  )
/** Whether another transaction holds the row. information_schema would be too slow to show it. */
async function isHeld(id: number): Promise<boolean> {
  const { rows } = await sql`SELECT id FROM held WHERE id = ${id} FOR UPDATE SKIP LOCKED`.execute(prober)
  return rows.length === 0
}

/**
 * Causes a deadlock with `other`: locks rows 1 to 151, then row 200 once `other` has locked it. `other` is
 * rolled back, because it changed fewer rows.
 * @param other changes row 200 first, then row 1.
 */
async function deadlockWith(other: () => Promise<unknown>): Promise<void> {
  let othersEnd: Promise<unknown> | undefined
  await database.transaction().execute(async (trx) => {
    await sql`UPDATE held SET value = value + 1 WHERE id <= 151`.execute(trx)
    othersEnd = other()
    othersEnd.catch(() => {}) // reported below
    await until(() => isHeld(200))
    await sql`UPDATE held SET value = value + 1 WHERE id = 200`.execute(trx)
  })
  await othersEnd
}

describe('a deadlock', () => {
  test('a single statement that was rolled back by a deadlock is repeated', async () => {
    const statement = 'UPDATE held SET value = value + 1 WHERE id IN (1, 200) ORDER BY id DESC'
    const plain = await createConnection(server.url)
    await expect(deadlockWith(() => plain.query(statement))).rejects.toMatchObject({
      code: 'ER_LOCK_DEADLOCK',
    })
    await plain.end()
    expect(await total()).toBe(152)
    await deadlockWith(() => sql.raw(statement).execute(database))
    expect(await total()).toBe(152 + 154)
  })

  test('a transaction that was rolled back by a deadlock is repeated from its beginning', async () => {
    let begun = 0
    await deadlockWith(() =>
      inTransaction(database, async (trx) => {
        begun++
        await sql`UPDATE held SET value = value + 1 WHERE id = 200`.execute(trx)
        await sql`UPDATE held SET value = value + 1 WHERE id = 1`.execute(trx)
      }),
    )
    expect(begun).toBe(2)
    expect(await total()).toBe(154)
  })

  test('a deadlock in a transaction that is not repeated is an error, and nothing of it is written', async () => {
    const work = deadlockWith(() =>
      database.transaction().execute(async (trx) => {
        await sql`UPDATE held SET value = value + 1 WHERE id = 200`.execute(trx)
        await sql`UPDATE held SET value = value + 1 WHERE id = 1`.execute(trx)
      }),
    )
    await expect(work).rejects.toMatchObject({ code: 'ER_LOCK_DEADLOCK' })
    expect(await total()).toBe(152)
  })
})

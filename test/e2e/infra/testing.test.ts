import { createConnection } from 'mysql2/promise'
import { afterAll, expect, test } from 'vitest'
import { startTestDatabase, startTestStore } from '../../../infra/local/testing.ts'

const database = await startTestDatabase()
afterAll(() => database.drop())

test('a test has its own database, empty and with full Unicode', async () => {
  const connection = await createConnection(database.url)
  const [tables] = await connection.query('SHOW TABLES')
  expect(tables).toEqual([])
  await connection.query('CREATE TABLE texts (text VARCHAR(20))')
  await connection.query('INSERT INTO texts VALUES (?)', ['Grüße 🦢'])
  expect((await connection.query('SELECT text FROM texts'))[0]).toEqual([{ text: 'Grüße 🦢' }])
  await connection.end()
})

test('two tests never share a database, a bucket or a queue', async () => {
  const [other, one, two] = [await startTestDatabase(), await startTestStore(), await startTestStore()]
  expect(other.name).not.toBe(database.name)
  expect(one.bucket).not.toBe(two.bucket)
  expect(one.queuePrefix).not.toBe(two.queuePrefix)
  await other.drop()
})

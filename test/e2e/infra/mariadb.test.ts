import { readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Mariadb, startMariadb } from '../../../infra/local/services/mariadb.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'

let dataFolder: string
let server: Mariadb

beforeAll(async () => {
  // With a blank, as folders of people have.
  dataFolder = join(temporaryFolder(), 'a folder')
  server = await startMariadb({ dataFolder })
})
afterAll(async () => {
  await server?.stop()
  rmSync(dataFolder, { recursive: true, force: true })
})

async function query(url: string, ...statements: readonly string[]): Promise<unknown> {
  const connection = await createConnection({ uri: url })
  try {
    let rows: unknown
    for (const statement of statements) [rows] = await connection.query(statement)
    return rows
  } finally {
    await connection.end()
  }
}

test('committed data survive a kill -9 of the server and a new start', async () => {
  await query(server.url, 'CREATE TABLE kept (id INT PRIMARY KEY) ENGINE=InnoDB')
  const writer = await createConnection({ uri: server.url })
  for (let id = 0; id < 50; id += 1) await writer.query('INSERT INTO kept VALUES (?)', [id])
  writer.on('error', () => undefined)
  process.kill(server.pid, 'SIGKILL')
  expect(await server.ended).toBe('signal SIGKILL')
  server = await startMariadb({ dataFolder })
  expect(await query(server.url, 'SELECT COUNT(*) AS count FROM kept')).toEqual([{ count: 50 }])
})

test('the address is the same after a restart, except for the port', async () => {
  const before = new URL(server.url)
  await server.stop()
  server = await startMariadb({ dataFolder, port: Number(before.port) })
  expect(server.url).toBe(before.href)
  await expect(query(server.url, 'SELECT 1 AS one')).resolves.toEqual([{ one: 1 }])
})

test('temporary tables survive the start of another server on the same machine', async () => {
  const otherFolder = temporaryFolder()
  const session = await createConnection({ uri: server.url })
  await session.query('CREATE TEMPORARY TABLE passing (id INT, detail VARCHAR(1000)) ENGINE=Aria')
  await session.query("INSERT INTO passing SELECT seq, REPEAT('x', 1000) FROM seq_1_to_1000")
  const other = await startMariadb({ dataFolder: otherFolder })
  try {
    await session.query('ALTER TABLE passing ADD COLUMN more INT')
    expect((await session.query('SELECT COUNT(*) AS count FROM passing'))[0]).toEqual([{ count: 1000 }])
  } finally {
    await session.end()
    await other.stop()
    rmSync(otherFolder, { recursive: true, force: true })
  }
})

test('several servers that are installed at the same time do not disturb each other', async () => {
  const folders = Array.from({ length: 4 }, () => temporaryFolder())
  const starts = await Promise.allSettled(folders.map((folder) => startMariadb({ dataFolder: folder })))
  const started = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
  await Promise.all(started.map((other) => other.stop()))
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  expect(starts.flatMap((start) => (start.status === 'rejected' ? [start.reason] : []))).toEqual([])
})

test('passwords are neither in process arguments nor in files that others can read', () => {
  const { password } = new URL(server.url)
  expect(password.length).toBeGreaterThanOrEqual(32)
  expect(readFileSync(`/proc/${server.pid}/cmdline`, 'utf8')).not.toContain(password)
  expect(readFileSync(server.logFile, 'utf8')).not.toContain(password)
  for (const name of ['password', 'admin-password', 'init.sql', 'my.cnf'])
    expect(statSync(join(dataFolder, 'mariadb', name)).mode & 0o777).toBe(0o600)
})

test('connections without a password are refused, also for root', async () => {
  for (const user of ['root', '', 'cygnet', 'mysql']) {
    const url = new URL(server.url)
    url.username = user
    url.password = ''
    url.pathname = '/'
    await expect(query(url.href, 'SELECT 1')).rejects.toThrow(/denied/i)
  }
})

test('our account has all rights in databases named cygnet…, and none in others', async () => {
  await query(server.url, 'CREATE DATABASE cygnet_other', 'DROP DATABASE cygnet_other')
  await expect(query(server.url, 'CREATE DATABASE somebody_else')).rejects.toThrow(/denied/i)
  await expect(query(server.url, 'SELECT * FROM mysql.global_priv')).rejects.toThrow(/denied/i)
})

test('times are UTC and texts are Unicode, whatever the settings of the machine', async () => {
  expect(
    await query(server.url, 'SELECT @@time_zone AS zone, @@character_set_database AS characters'),
  ).toEqual([{ zone: '+00:00', characters: 'utf8mb4' }])
})

test('the server listens only on the loopback address', () => {
  const hexPort = Number(new URL(server.url).port).toString(16).toUpperCase().padStart(4, '0')
  const listening = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A' && fields[1]?.endsWith(`:${hexPort}`)),
  )
  expect(listening.map((fields) => fields[1])).toEqual([`0100007F:${hexPort}`])
})

test('a second start in the same folder is refused while the first one runs', async () => {
  await expect(startMariadb({ dataFolder })).rejects.toThrow(/already/)
})

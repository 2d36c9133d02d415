/** What SQL clients of before find: a database for each tag with a table Runlog, as each site had. */
import { sql } from 'kysely'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Database, openDatabase } from '../../../shared/database/connect.ts'
import { findLegacyTable } from '../../../shared/queries/legacy-runlog.ts'
import { createRunlogView, tagsOfRunlog } from '../../../shared/queries/runlog-views.ts'
import { startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'

let catalogue: TestCatalogue
let database: Database
const made = new Set<string>()
beforeAll(async () => {
  catalogue = await startTestCatalogue()
  database = catalogue.database
  await sql`INSERT INTO Runlog (tag, run_number, run_description) VALUES ('LNGS', 5, 'a'), ('LNGS', 100000, 'b'), ('LNF', 5, 'c')`.execute(
    database.withoutPlugins(),
  )
})
afterAll(async () => {
  for (const name of made)
    await sql`DROP DATABASE IF EXISTS ${sql.id(name)}`.execute(database.withoutPlugins())
  await catalogue.close()
})

const viewOf = async (tag: string, on = database) => {
  const name = await createRunlogView(on, tag)
  made.add(name)
  return name
}
const rowsOf = async (name: string) =>
  (
    await sql<Record<string, unknown>>`SELECT * FROM ${sql.id(name, 'Runlog')}`.execute(
      database.withoutPlugins(),
    )
  ).rows

describe('the view of a tag', () => {
  it('has its rows and the 38 columns in their order, and shows what comes later', async () => {
    const name = await viewOf('LNGS')
    const rows = await rowsOf(name)
    expect(rows.map((row) => [row.run_number, row.run_description])).toEqual([
      [5, 'a'],
      [100_000, 'b'],
    ])
    expect(Object.keys(rows[0] ?? {})).toEqual((await findLegacyTable(database, 'Runlog')).columns)
    expect(Object.keys(rows[0] ?? {})).toHaveLength(38)
    await sql`INSERT INTO Runlog (tag, run_number) VALUES ('LNGS', 6)`.execute(database.withoutPlugins())
    expect(await rowsOf(name)).toHaveLength(3)
  })

  it('is made again without harm', async () => {
    expect(await viewOf('LNF')).toBe(await viewOf('LNF'))
    expect(await rowsOf(await viewOf('LNF'))).toHaveLength(1)
  })

  it('may have a slash in its name', async () => {
    await sql`INSERT INTO Runlog (tag, run_number) VALUES ('FLASH/2024', 1)`.execute(
      database.withoutPlugins(),
    )
    expect(await rowsOf(await viewOf('FLASH/2024'))).toHaveLength(1)
    expect(await tagsOfRunlog(database)).toEqual(['FLASH/2024', 'LNF', 'LNGS'])
  })

  it('finds a run by the key of the table', async () => {
    const name = await viewOf('LNGS')
    const { rows } = await sql<{
      type: string
      key: string
    }>`EXPLAIN SELECT * FROM ${sql.id(name, 'Runlog')} WHERE run_number = 5`.execute(
      database.withoutPlugins(),
    )
    expect(rows).toMatchObject([{ type: 'const', key: 'PRIMARY' }])
  })

  it('shows the last runs without copying or sorting the others', async () => {
    const name = await viewOf('LNGS')
    const last = sql`SELECT * FROM ${sql.id(name, 'Runlog')} ORDER BY run_number DESC LIMIT 10`
    const { rows } = await sql<Record<string, unknown>>`EXPLAIN ${last}`.execute(database.withoutPlugins())
    expect(rows).toMatchObject([
      { select_type: 'SIMPLE', key: 'PRIMARY', Extra: expect.not.stringMatching(/filesort|temporary/) },
    ])
  })

  it.each(["LNGS' OR '1'='1", 'a\\', 'x'.repeat(60), '', 'a`b'])('of a tag %j is refused', async (tag) => {
    await expect(createRunlogView(database, tag)).rejects.toThrow(/cannot be the name of a database/)
  })
})

it('an account that may not make databases learns what an administrator has to do, and that is enough', async () => {
  const admin = await createConnection({ uri: catalogue.adminUrl })
  const [rights] = await admin.query<RowDataPacket[]>(
    "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'mysql' AND table_name = 'db' AND column_name LIKE '%priv'",
  )
  const name = catalogue.url.slice(catalogue.url.lastIndexOf('/') + 1)
  const user = `few_${name.slice(-6)}`
  // GRANT ALL, by an administrator that may not grant.
  const grantAll = async (on: string) => {
    const columns = ['Host', 'Db', 'User', ...rights.map((right) => String(right.name))]
    await admin.query('INSERT INTO mysql.db (??) VALUES (?)', [
      columns,
      ['127.0.0.1', on, user, ...rights.map(() => 'Y')],
    ])
    await admin.query('FLUSH PRIVILEGES')
  }
  await admin.query(`CREATE USER '${user}'@'127.0.0.1' IDENTIFIED BY 'few'`)
  await grantAll(name)
  const url = new URL(catalogue.url)
  url.username = user
  url.password = 'few'
  const few = openDatabase(url.href, 1)
  try {
    await expect(createRunlogView(few, 'MAN')).rejects.toThrow(
      `may not create the view ${name}_MAN.Runlog; an administrator can allow it: CREATE DATABASE IF NOT EXISTS \`${name}_MAN\`; GRANT ALL ON \`${name}_MAN\`.* TO '${user}'@'127.0.0.1';`,
    )
    await admin.query(`CREATE DATABASE ${name}_MAN`)
    await grantAll(`${name}_MAN`)
    expect(await viewOf('MAN', few)).toBe(`${name}_MAN`)
  } finally {
    await few.destroy()
    await admin.query(`DROP USER '${user}'@'127.0.0.1'`)
    await admin.end()
  }
})

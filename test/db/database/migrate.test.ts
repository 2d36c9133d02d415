/** The schema is made by any number of processes, and again after a crash. */
import { readdirSync } from 'node:fs'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FROM_THE_BEGINNING, listTakeOvers } from '../../../shared/catalogue/take-over.ts'
import { migrate } from '../../../shared/database/migrate.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'

/** Each is a folder or a file. */
const MIGRATIONS = readdirSync(new URL('../../../shared/database/migrations', import.meta.url))
  .map((name) => name.replace('.ts', ''))
  .toSorted()

let catalogue: TestCatalogue
beforeEach(async () => {
  catalogue = await startTestCatalogue()
})
afterEach(() => catalogue.close())

/** How each table and view is created, without the counters of its ids. */
async function schema(): Promise<readonly string[]> {
  const database = catalogue.database.withoutPlugins()
  const { rows } = await sql<Record<string, string>>`SHOW TABLES`.execute(database)
  const created = rows.map(async (row) => {
    const [name = ''] = Object.values(row)
    const found = await sql<Record<string, string>>`SHOW CREATE TABLE ${sql.table(name)}`.execute(database)
    return Object.values(found.rows[0] ?? {}).join('\n')
  })
  return (await Promise.all(created)).map((text) => text.replace(/AUTO_INCREMENT=\d+ /, ''))
}

test('a schema that is up to date is left as it is', async () => {
  const before = await schema()
  expect(before.length).toBeGreaterThan(15)
  expect(await migrate(catalogue.database)).toEqual([])
  expect(await schema()).toEqual(before)
})

test('a migration that a crash ended half-way is finished by the next, and runs once in three processes', async () => {
  const before = await schema()
  await sql`DROP VIEW copies`.execute(catalogue.database)
  for (const table of ['tombstones', 'Runlog', 'api_tokens'])
    await sql`DROP TABLE ${sql.table(table)}`.execute(catalogue.database.withoutPlugins())
  await sql`DELETE FROM kysely_migration`.execute(catalogue.database)
  const done = await Promise.all([1, 2, 3].map(() => migrate(catalogue.database)))
  expect(done.flat()).toEqual(MIGRATIONS)
  expect(await schema()).toEqual(before)
})

test('a catalogue of another version is refused with the name of the unknown migration', async () => {
  await sql`INSERT INTO kysely_migration (name, timestamp) VALUES ('9999-of-a-newer-version', '2027-01-01')`.execute(
    catalogue.database,
  )
  const refused = await migrate(catalogue.database).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(InvalidInputError)
  expect(String(refused)).toContain('9999-of-a-newer-version')
})

test('the tags of a catalogue that was made before take-over times have all their runs as new ones', async () => {
  await sql`INSERT INTO runs (tag, run_number, started_epoch, integrity, parameters, catalogued_at, updated_at)
    VALUES ('LNGS', 1, 0, 'unstated', '{}', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))`.execute(catalogue.database)
  await sql`DELETE FROM kysely_migration WHERE name >= '0003'`.execute(catalogue.database)
  expect(await migrate(catalogue.database)).toContain('0003-take-overs')
  expect(await listTakeOvers(catalogue.database)).toMatchObject([{ tag: 'LNGS', since: FROM_THE_BEGINNING }])
})

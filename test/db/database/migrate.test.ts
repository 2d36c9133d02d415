/** The schema is made by any number of processes, and again after a crash. */
import { readdirSync } from 'node:fs'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FROM_THE_BEGINNING, listTakeOvers } from '../../../shared/catalogue/take-over.ts'
import { migrate } from '../../../shared/database/migrate.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { createTapeRestMemory } from '../../../shared/runtime/tape-rest-memory.ts'
import { createWebdavDriver } from '../../../shared/tape/webdav/webdav.ts'
import { record, startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'
import { tapeFileOf } from '../../support/tape/files.ts'
import { startWebdavServer } from '../../support/webdav-server.ts'

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

test('an endpoint that had copies on its disk buffer before absences were remembered counts as having a tape system', async () => {
  const { database } = catalogue
  const root = 'https://tape.example.org:8443/cygno/'
  const copyAt = async (run: number, endpoint: string, state: 'staged' | 'on-media' | 'planned') => {
    await record(database, versionOf(`LNGS/run0100${run}.mid.gz`, `e${run}`), metadataOf(1000 + run))
    const cloud = await database
      .selectFrom('replicas')
      .selectAll()
      .where('runNumber', '=', 1000 + run)
      .where('kind', '=', 'cloud')
      .executeTakeFirstOrThrow()
    const { id: _, ...row } = cloud
    const copy = {
      ...row,
      identity: Buffer.alloc(32, run),
      kind: 'tape',
      endpoint,
      state,
      url: endpoint,
    } as const
    await database.insertInto('replicas').values(copy).execute()
  }
  await copyAt(1, root, 'staged')
  await copyAt(2, root, 'staged')
  await copyAt(3, root, 'on-media')
  await copyAt(4, 'https://disk.example.org/cygno/', 'on-media')
  await copyAt(5, 'https://new.example.org/cygno/', 'planned')
  await sql`DROP TABLE tape_endpoints`.execute(database.withoutPlugins())
  await sql`DELETE FROM kysely_migration WHERE name >= '0010'`.execute(database)
  expect(await migrate(database)).toContain('0010-tape-rest')
  const rows = await database.selectFrom('tapeEndpoints').selectAll().execute()
  expect(rows).toEqual([{ endpoint: root, tapeRestFoundAt: expect.any(Date), tapeRestAbsentSince: null }])
  // An absence there is never believed; elsewhere it counts from the first time that it was seen.
  const memory = createTapeRestMemory(database)
  expect(await memory.absent(root)).toBeNull()
  expect(await memory.absent('https://disk.example.org/cygno/')).toBeInstanceOf(Date)
  // A migration that was ended half-way and runs again keeps what was found meanwhile.
  await sql`DELETE FROM kysely_migration WHERE name >= '0010'`.execute(database)
  await migrate(database)
  expect(await memory.absent(root)).toBeNull()
  expect(await database.selectFrom('tapeEndpoints').selectAll().execute()).toHaveLength(2)
})

test('a webdav driver asks that memory under the name of its copies', async () => {
  const asked: string[] = []
  const server = await startWebdavServer()
  const driver = createWebdavDriver({
    rootUrl: server.url,
    token: { token: async () => 'a', refused: () => {} },
    thirdParty: 'never',
    tapeRest: 'auto',
    copySeconds: 60,
    tapeRestMemory: {
      found: async () => {},
      async absent(endpoint) {
        asked.push(endpoint)
        return new Date()
      },
    },
  })
  const file = await tapeFileOf(Buffer.from('x'))
  server.files.set(file.name, Buffer.from('x'))
  await driver.check(file, { reference: null, readBack: 'if-needed' }, new AbortController().signal)
  expect(new Set(asked)).toEqual(new Set([driver.endpoint]))
  await driver.close()
  await server.close()
})

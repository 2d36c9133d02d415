/** `cygnet migrate --views`: the views for existing SQL clients. */
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import * as migrate from '../../../../cli/commands/migrate.ts'
import { startTestCatalogue, type TestCatalogue } from '../../../support/catalogue.ts'
import { cygnet } from '../../../support/cli/in-process.ts'

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue?.close())
afterEach(() => {
  vi.unstubAllEnvs()
})

it('a tag that cannot be part of a database name is reported, and the other tags get their views', async () => {
  const { database } = catalogue
  await sql`INSERT INTO Runlog (tag, run_number) VALUES ('A/été', 1), ('LNGS', 1)`.execute(
    database.withoutPlugins(),
  )
  const environment = { CYGNET_DATABASE_URL: catalogue.url, CYGNET_FOLDER: '/nonexistent' }
  const { code, stdout, stderr } = await cygnet([migrate], environment, 'migrate', '--views')
  const { rows } = await sql<{ readonly here: string }>`SELECT DATABASE() AS here`.execute(
    database.withoutPlugins(),
  )
  const view = `${rows[0]?.here}_LNGS`
  expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining(`view: ${view}.Runlog`) })
  expect(stderr).toMatch(/no view of A\/été: .*cannot be the name of a database/)
  await sql`DROP DATABASE ${sql.id(view)}`.execute(database.withoutPlugins())
})

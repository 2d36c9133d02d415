/** A catalogue from before open problems were stored gets them, and the files that count, from its rows. */
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recordInvalid } from '../../../shared/catalogue/record-file.ts'
import { migrate } from '../../../shared/database/migrate.ts'
import { leaseOn, record, startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())

test('the migration derives what counts and what is wrong as it is recorded today', async () => {
  const { database } = catalogue
  const add = (run: number, changes: object = {}, more: object = {}, suffix = '.mid.gz') =>
    record(
      database,
      versionOf(`LNGS/run0${run}${suffix}`, `e${run}${suffix}`),
      metadataOf(run, changes),
      more,
    )
  const cut = { complete: false, problem: { code: 'x', message: 'cut', offset: 1 } }
  await add(1001)
  await add(1002, cut)
  await add(1003, {}, { integrity: 'mismatch' })
  await add(1004, { banks: { DIG0: { count: 20, bytes: 5 } } })
  await add(1005)
  await add(1005, cut, {}, '.mid.lz4')
  const version = versionOf('LNGS/run01006.mid.gz', 'bad')
  const lease = await leaseOn(database, version)
  const refused = {
    lease,
    tag: 'LNGS',
    runNumber: 1006,
    version,
    reason: 'it is no gzip file',
    isHistory: false,
  }
  await recordInvalid(database, refused, { at: new Date(), stillCurrent: async () => 'yes' })
  const columns = async () => [
    await database.selectFrom('runs').select(['runNumber', 'problems', 'hasProblem']).orderBy('id').execute(),
    await database.selectFrom('runFiles').select(['objectKey', 'counts']).orderBy('id').execute(),
    await database
      .selectFrom('arrivals')
      .select(['objectKey', 'namedTag', 'namedRun'])
      .orderBy('id')
      .execute(),
  ]
  const recorded = await columns()
  expect(recorded[0]?.map((run) => 'problems' in run && run.problems)).toEqual([
    '',
    'incomplete',
    'disputed,suspicious-copy',
    'no-camera',
    'extra-file',
  ])
  for (const statement of [
    sql`ALTER TABLE runs DROP INDEX by_tag_problem, DROP COLUMN problems, DROP COLUMN has_problem`,
    sql`ALTER TABLE run_files DROP COLUMN counts`,
    sql`ALTER TABLE arrivals DROP INDEX by_named_run, DROP COLUMN named_tag, DROP COLUMN named_run`,
    sql`DELETE FROM kysely_migration WHERE name >= '0004'`,
  ])
    await statement.execute(database)
  expect(await migrate(database)).toContain('0004-open-problems')
  expect(await columns()).toEqual(recorded)
})

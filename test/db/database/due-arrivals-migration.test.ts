/** Of the arrivals that a filled catalogue has, those become due that were to be tried again. */
import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recordArrivals } from '../../../shared/catalogue/arrivals.ts'
import * as dueArrivals from '../../../shared/database/migrations/0015-due-arrivals.ts'
import { startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'
import { arrivalOf } from '../../support/context.ts'

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())

const BEFORE: readonly (readonly [values: string, isDue: boolean])[] = [
  ["state = 'received'", true],
  ["state = 'processing', attempts = 1", true],
  ["state = 'failed', attempts = 6", true],
  ["state = 'failed', attempts = 30", false],
  ["state = 'failed', outcome = 'gone'", false],
  ["state = 'done', outcome = 'catalogued'", false],
  ["state = 'invalid'", false],
]

test('the migration makes arrivals due that are not finished, also when it is done twice', async () => {
  const { database } = catalogue
  const raw = database as unknown as Kysely<unknown>
  const keys = BEFORE.map((_, index) => `LNGS/run0000${index}.mid.gz`)
  await recordArrivals(
    database,
    keys.map((key) => arrivalOf('raw', key, 'e')),
    new Date(),
  )
  await dueArrivals.down(raw)
  for (const [index, [values]] of BEFORE.entries())
    await sql`UPDATE arrivals SET ${sql.raw(values)} WHERE object_key = ${keys[index]}`.execute(database)
  for (let time = 0; time < 2; time++) {
    await dueArrivals.up(raw)
    const rows = await database.selectFrom('arrivals').select('nextAttemptAt').orderBy('objectKey').execute()
    expect(rows.map(({ nextAttemptAt }) => nextAttemptAt !== null)).toEqual(BEFORE.map(([, isDue]) => isDue))
  }
})

/** Searches name the indexes that they read along: they must be there, and lead to few runs among many. */
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Database, openDatabase } from '../../../shared/database/connect.ts'
import { RUN_ORDERS, type RunConditions } from '../../../shared/queries/run-conditions.ts'
import { searchIndexes } from '../../../shared/queries/search-index.ts'
import { searchRuns } from '../../../shared/queries/search-runs.ts'
import { startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())

/** The columns of each index of the runs. */
async function indexes(): Promise<Readonly<Record<string, string>>> {
  const { rows } = await sql<{ name: string; columns: string }>`
    SELECT index_name AS name, GROUP_CONCAT(column_name ORDER BY seq_in_index) AS columns FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'runs' GROUP BY index_name`.execute(catalogue.database)
  return Object.fromEntries(rows.map(({ name, columns }) => [name, columns]))
}

const CONDITIONS: readonly RunConditions[] = [
  {},
  { from: 1 },
  { from: 1, to: 9 },
  { since: new Date(0) },
  { text: 'AmBe', to: 9 },
  { integrity: 'mismatch' },
  { tape: 'failed' },
  { cloud: 'present' },
  { complete: false },
  { problem: 'any' },
  { problem: 'lost' },
  { pedestal: true },
]

test('every index that a search may name is there and begins with the tag and whether the use is current', async () => {
  const there = await indexes()
  for (const by of RUN_ORDERS)
    for (const conditions of CONDITIONS) {
      for (const name of searchIndexes(conditions, by))
        expect(there[name], `${by} ${JSON.stringify(conditions)}: ${name}`).toMatch(/^tag,is_current,\w+/)
    }
})

const RUNS = 20_000
const beginOf = (runNumber: number) => new Date((1_600_000_000 + runNumber * 300) * 1000)

/** By the one connection of this database until now. */
async function rowsRead(database: Database): Promise<number> {
  const { rows } = await sql<{ Value: string }>`SHOW SESSION STATUS LIKE 'Handler\\_read\\_%'`.execute(
    database,
  )
  return rows.reduce((sum, { Value }) => sum + Number(Value), 0)
}

describe('among many runs, few matching ones are found in any order without reading the others', () => {
  beforeAll(async () => {
    await sql`INSERT INTO runs (tag, run_number, started_epoch, is_current, integrity, complete, size_bytes, event_count, started_at,
        description, tape, problems, has_problem, parameters, catalogued_at, updated_at)
      SELECT 'LNGS', seq, 1600000000 + seq * 300, 1, 'verified', 1, seq * 7919 % 10007, seq * 31 % 1009, FROM_UNIXTIME(1600000000 + seq * 300),
        'AmBe', 'on-media', IF(seq % 2000 = 0, 'lost', IF(seq % 100 = 0, 'incomplete', '')), seq % 100 = 0, '{}', FROM_UNIXTIME(1600000000 + seq * 300), UTC_TIMESTAMP() FROM seq_1_to_20000`.execute(
      catalogue.database,
    )
    await sql`ANALYZE TABLE runs`.execute(catalogue.database)
  })

  const last = { since: beginOf(RUNS - 9) }
  test.each<[string, RunConditions]>([
    ['begun lately', last],
    ['begun lately, of nearly all numbers', { ...last, from: 2 }],
    ['begun lately, by a text', { ...last, text: 'ambe' }],
    ['begun lately, with what nearly all have', { ...last, tape: 'on-media', complete: true }],
    ['begun at first', { until: beginOf(11) }],
    ['begun in one hour', { since: beginOf(9001), until: beginOf(9011) }],
    ['of the last numbers', { from: RUNS - 9 }],
    ['of the last numbers, by a text', { from: RUNS - 9, text: 'ambe' }],
    ['with an open problem of one kind', { problem: 'lost' }],
    ['of the first numbers', { to: 10, since: beginOf(0) }],
  ])('%s', async (_, conditions) => {
    const database = openDatabase(catalogue.url, 1)
    try {
      for (const by of RUN_ORDERS)
        for (const descending of [true, false]) {
          const before = await rowsRead(database)
          const { runs } = await searchRuns(database, {
            tags: ['LNGS'],
            conditions,
            order: { by, descending },
            after: null,
            limit: 50,
          })
          const read = (await rowsRead(database)) - before
          expect(runs, by).toHaveLength(10)
          expect(read, `rows read for ${by}, ${descending ? 'descending' : 'ascending'}`).toBeLessThan(
            RUNS / 20,
          )
        }
    } finally {
      await database.destroy()
    }
  })
})

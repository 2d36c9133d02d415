/**
 * The experiment's real logbook compared with our Runlog: the same column names, and types for every value in it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestCatalogue, type TestCatalogue } from '../support/catalogue.ts'

const SAMPLE = fileURLToPath(new URL('../../../shared/data/runlog_LNGS_sample.csv', import.meta.url))
const there = existsSync(SAMPLE)
if (!there) console.warn(`skipped: the logbook sample is not there (${SAMPLE})`)

/** Fields of one CSV line; a quoted field may have commas. */
function fieldsOf(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  )
}

describe.skipIf(!there)('the real logbook', () => {
  const [header = '', ...lines] = there ? readFileSync(SAMPLE, 'utf8').trimEnd().split('\n') : []
  const columns = header.split(',')
  let catalogue: TestCatalogue
  beforeAll(async () => {
    catalogue = await startTestCatalogue()
  })
  afterAll(() => catalogue.close())

  test('the logbook has no column that is missing in our Runlog', async () => {
    const { rows } = await sql<{ Field: string }>`SHOW COLUMNS FROM Runlog`.execute(
      catalogue.database.withoutPlugins(),
    )
    expect(columns.filter((column) => !rows.some((row) => row.Field === column))).toEqual([])
    expect(columns.length).toBeGreaterThan(20)
  })

  test('every value of the logbook fits into our Runlog', async () => {
    const names = sql.join([...columns, 'tag'].map((column) => sql.ref(column)))
    const records = lines.map(fieldsOf)
    expect(records.every((record) => record.length === columns.length)).toBe(true)
    for (const record of records) {
      const values = sql.join([...record.map((value) => (value === '' ? null : value)), 'LNGS'])
      await sql`INSERT INTO Runlog (${names}) VALUES (${values})`.execute(catalogue.database.withoutPlugins())
    }
    const texts = sql.join(
      columns.map((column) => sql`CAST(${sql.ref(column)} AS CHAR) AS ${sql.ref(column)}`),
    )
    const { rows } = await sql<
      Record<string, string | null>
    >`SELECT ${texts} FROM Runlog ORDER BY run_number`.execute(catalogue.database.withoutPlugins())
    expect(rows).toHaveLength(lines.length)
    const same = (stored: string | null | undefined, written: string) =>
      stored === written ||
      (written === '' && stored === null) ||
      (stored !== null && stored !== undefined && Number(stored) === Number(written))
    const ordered = records.toSorted((a, b) => Number(a[0]) - Number(b[0]))
    const differing = ordered.flatMap((record, row) =>
      columns.flatMap((column, index) =>
        same(rows[row]?.[column], record[index] ?? '')
          ? []
          : [`${record[0]} ${column}: ${record[index]} became ${rows[row]?.[column]}`],
      ),
    )
    expect(differing).toEqual([])
  })
})

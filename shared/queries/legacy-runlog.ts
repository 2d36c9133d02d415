/**
 * Tables as the old tools saw them: the rows of one tag, in the order of the run numbers, every value the
 * text that MariaDB makes of it. The column `tag`, which stands for the database that each site had, is not
 * shown.
 */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import { InvalidInputError } from '../errors.ts'

export interface LegacyTable {
  readonly name: string
  /** In the order of the table. */
  readonly columns: readonly string[]
}

/** The values of a row in the order of the columns. */
export type LegacyRow = readonly (string | null)[]

export interface LegacyRows {
  readonly tag: string
  /** First run number. */
  readonly from: number
  /** The run number before which it ends. */
  readonly before: number
}

/** Above every run number. */
export const NO_END = 2 ** 32

const ROWS_AT_ONCE = 500

/**
 * Looks at the columns of a table. Which tables may be shown at all is the caller's to decide.
 * @throws InvalidInputError when there is no such table, or it has not the key (tag, run_number) by which
 * rows are shown.
 */
export async function findLegacyTable(database: Database, name: string): Promise<LegacyTable> {
  const { rows } = await sql<{
    readonly name: string
    readonly isKey: number
  }>`SELECT column_name AS name, column_key = 'PRI' AS isKey
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ${name} AND extra NOT LIKE '%INVISIBLE%' ORDER BY ordinal_position`.execute(
    database,
  )
  const keys = rows.filter((row) => row.isKey === 1).map((row) => row.name)
  if (keys.toSorted().join() !== 'run_number,tag')
    throw new InvalidInputError(`the catalogue has no table ${name} with the key (tag, run_number)`)
  return { name, columns: rows.map((row) => row.name).filter((column) => column !== 'tag') }
}

/** Columns change with a migration or an operator's hand: a look a minute is enough. */
const REMEMBERED_MS = 60_000

/** `findLegacyTable`, with what was found remembered for a while. */
export function createTableFinder(
  database: Database,
  now: () => Date,
): (name: string) => Promise<LegacyTable> {
  const known = new Map<string, { readonly table: LegacyTable; readonly atMs: number }>()
  return async (name) => {
    const atMs = now().getTime()
    const before = known.get(name)
    if (before !== undefined && atMs - before.atMs < REMEMBERED_MS) return before.table
    const table = await findLegacyTable(database, name)
    known.set(name, { table, atMs })
    return table
  }
}

/** The row of a run, null when there is none. */
export async function findLegacyRow(
  database: Database,
  table: LegacyTable,
  tag: string,
  runNumber: number,
): Promise<LegacyRow | null> {
  const [row] = await readRows(database, table, { tag, from: runNumber, before: runNumber + 1 }, 1)
  return row ?? null
}

/**
 * All rows, some hundred at a time: no statement is open while a slow reader takes them, and memory stays
 * flat. What changes meanwhile is shown as it is when its turn comes.
 */
export async function* readLegacyRows(
  database: Database,
  table: LegacyTable,
  wanted: LegacyRows,
): AsyncGenerator<readonly LegacyRow[]> {
  const numberAt = table.columns.indexOf('run_number')
  for (let from = wanted.from; ; ) {
    const rows = await readRows(database, table, { ...wanted, from }, ROWS_AT_ONCE)
    const last = rows.at(-1)
    if (last === undefined) return
    yield rows
    if (rows.length < ROWS_AT_ONCE) return
    from = Number(last[numberAt]) + 1
  }
}

async function readRows(
  database: Database,
  { name, columns }: LegacyTable,
  { tag, from, before }: LegacyRows,
  limit: number,
): Promise<readonly LegacyRow[]> {
  const texts = sql.join(columns.map((column) => sql`CAST(${sql.id(column)} AS CHAR) AS ${sql.id(column)}`))
  const { rows } = await sql<Readonly<Record<string, string | null>>>`SELECT ${texts} FROM ${sql.table(name)}
    WHERE tag = ${tag} AND run_number >= ${from} AND run_number < ${before} ORDER BY ${sql.table(name)}.run_number LIMIT ${limit}`.execute(
    database.withoutPlugins(),
  )
  return rows.map((row) => columns.map((column) => row[column] ?? null))
}

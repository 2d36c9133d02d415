/**
 * Tables as the old tools saw them: the rows of one tag in the order of the run numbers, each value as
 * MariaDB converts it to text. The column `tag`, which replaces the separate database of each site, is
 * hidden.
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
  /** First run number after the range. */
  readonly before: number
}

/** Above every run number. */
export const NO_END = 2 ** 32

const ROWS_AT_ONCE = 500

/**
 * Reads the columns of a table. Which tables may be shown is decided by the caller.
 * @throws InvalidInputError when the table does not exist, or does not have the key (tag, run_number) needed
 * for its rows.
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

/** Columns change only by a migration or manually: they are cached for a minute. */
const CACHED_MS = 60_000

/** `findLegacyTable` with a cache. */
export function createTableFinder(
  database: Database,
  now: () => Date,
): (name: string) => Promise<LegacyTable> {
  const cached = new Map<string, { readonly table: LegacyTable; readonly atMs: number }>()
  return async (name) => {
    const atMs = now().getTime()
    const before = cached.get(name)
    if (before !== undefined && atMs - before.atMs < CACHED_MS) return before.table
    const table = await findLegacyTable(database, name)
    cached.set(name, { table, atMs })
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
 * All rows, some hundred at a time: no statement stays open for a slow client, and memory use is constant.
 * Rows that change meanwhile are shown as they are when they are read.
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

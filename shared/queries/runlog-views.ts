/**
 * For SQL clients: a database for every tag, with a view `Runlog` that looks as the site's own table did.
 * `cygnet.Runlog` of LNGS is `cygnet_LNGS.Runlog`: 38 columns in the old order, without the tag. Views show
 * the rows as they are now; none is copied.
 *
 * Who has more than SELECT on a view can write through it. ALGORITHM = TEMPTABLE would forbid that, and copy
 * all rows of the tag for every `ORDER BY run_number DESC LIMIT 10` (0.6 s for 150,000 runs, instead of a
 * millisecond), which is what these clients ask.
 */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import { InvalidInputError } from '../errors.ts'
import { findLegacyTable } from './legacy-runlog.ts'

/**
 * What stands in the statements as text. Tags with other characters have their rows in the endpoint of the
 * old tools only.
 */
const TAG = /^[\w./-]+$/

/** MariaDB's limit, characters. */
const LONGEST_NAME = 64

const DENIED = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
])

/** Tags that have rows. */
export async function tagsOfRunlog(database: Database): Promise<readonly string[]> {
  const { rows } = await sql<{ readonly tag: string }>`SELECT DISTINCT tag FROM Runlog ORDER BY tag`.execute(
    database,
  )
  return rows.map(({ tag }) => tag)
}

/**
 * Makes the view of a tag, or makes it anew; who may read it is the administrator's to grant (`GRANT SELECT
 * ON cygnet_LNGS.* …`): the view itself reads with the rights of the account that made it.
 * @returns the name of the database with the view.
 * @throws InvalidInputError when the tag cannot be part of the name of a database, or the account may not do
 * this.
 */
export async function createRunlogView(database: Database, tag: string): Promise<string> {
  const { rows } = await sql<{
    readonly here: string
    readonly account: string
  }>`SELECT DATABASE() AS here, CURRENT_USER() AS account`.execute(database)
  const [{ here, account } = { here: '', account: '' }] = rows
  const name = `${here}_${tag}`
  if (!TAG.test(tag) || name.length > LONGEST_NAME)
    throw new InvalidInputError(`"${name}" cannot be the name of a database`)
  const { columns } = await findLegacyTable(database, 'Runlog')
  try {
    if (!(await exists(database, name)))
      await sql`CREATE DATABASE IF NOT EXISTS ${sql.id(name)} CHARACTER SET utf8mb4`.execute(
        database.withoutPlugins(),
      )
    const shown = sql.join(columns.map((column) => sql.id(column)))
    await sql`CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW ${sql.id(name, 'Runlog')} AS
      SELECT ${shown} FROM ${sql.id(here, 'Runlog')} WHERE tag = ${sql.lit(tag)}`.execute(
      database.withoutPlugins(),
    )
  } catch (error) {
    if (error instanceof Error && 'code' in error && DENIED.has(String(error.code)))
      throw notAllowed(name, account, error)
    throw error
  }
  return name
}

/**
 * CREATE DATABASE wants a right of its own even where there is one already, which an administrator may have
 * made for us.
 */
async function exists(database: Database, name: string): Promise<boolean> {
  const { rows } = await sql`SELECT 1 FROM information_schema.schemata WHERE schema_name = ${name}`.execute(
    database,
  )
  return rows.length > 0
}

function notAllowed(name: string, account: string, cause: Error): InvalidInputError {
  const quoted = account.split('@').map((part) => `'${part}'`)
  const grant = `CREATE DATABASE IF NOT EXISTS \`${name}\`; GRANT ALL ON \`${name}\`.* TO ${quoted.join('@')};`
  return new InvalidInputError(
    `the account of the catalogue may not make the view ${name}.Runlog; an administrator can allow it: ${grant}`,
    {},
    { cause },
  )
}

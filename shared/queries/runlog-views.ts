/**
 * For SQL clients: one database per tag, with a view `Runlog` like the site's former table. `cygnet.Runlog`
 * of LNGS is `cygnet_LNGS.Runlog`: 38 columns in the old order, without the tag. Views show the current rows;
 * nothing is copied.
 *
 * An account with more than SELECT on a view can write through it. ALGORITHM = TEMPTABLE would prevent that,
 * but copy all rows of the tag for every `ORDER BY run_number DESC LIMIT 10` (0.6 s for 150,000 runs instead
 * of a millisecond), which is the typical query of these clients.
 */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import { InvalidInputError } from '../errors.ts'
import { findLegacyTable } from './legacy-runlog.ts'

/**
 * Characters that are safe in the statements. Tags with other characters are available only through the
 * endpoint of the old tools.
 */
const TAG = /^[\w./-]+$/

/** The limit of MariaDB, characters. */
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
 * Creates or replaces the view of a tag. The administrator grants read access (`GRANT SELECT ON cygnet_LNGS.*
 * …`): the view itself reads with the rights of the account that created it.
 * @returns the name of the database with the view.
 * @throws InvalidInputError when the tag cannot be part of a database name, or the account lacks the right.
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
 * CREATE DATABASE requires a right of its own even if the database exists, which an administrator may have
 * created for us.
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
    `the account of the catalogue may not create the view ${name}.Runlog; an administrator can allow it: ${grant}`,
    {},
    { cause },
  )
}

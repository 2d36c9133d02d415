/** The schema's migrations, in code so that a bundled function carries them. From ADR 16 on they only add. */
import { DEFAULT_MIGRATION_TABLE, Migrator, sql } from 'kysely'
import { InvalidInputError, TransientError } from '../errors.ts'
import type { Database } from './connect.ts'
import * as schema from './migrations/0001-schema/0001-schema.ts'
import * as evidence from './migrations/0002-evidence/0002-evidence.ts'
import * as takeOvers from './migrations/0003-take-overs.ts'
import * as openProblems from './migrations/0004-open-problems/0004-open-problems.ts'
import * as tokenMachines from './migrations/0005-token-machines/0005-token-machines.ts'
import * as contents from './migrations/0006-contents/0006-contents.ts'
import * as recallBudgets from './migrations/0007-recall-budgets.ts'
import * as people from './migrations/0008-people.ts'
import * as notificationTests from './migrations/0009-notification-tests.ts'
import * as tapeRest from './migrations/0010-tape-rest.ts'
import * as runsOfHistory from './migrations/0011-runs-of-history.ts'
import * as alerts from './migrations/0012-alerts.ts'
import * as runsWithoutTape from './migrations/0013-runs-without-tape.ts'
import * as longerAudit from './migrations/0014-longer-audit.ts'
import * as refusedNotifications from './migrations/0016-refused-notifications.ts'

/** In the order in which they run. */
export const migrations = {
  '0001-schema': schema,
  '0002-evidence': evidence,
  '0003-take-overs': takeOvers,
  '0004-open-problems': openProblems,
  '0005-token-machines': tokenMachines,
  '0006-contents': contents,
  '0007-recall-budgets': recallBudgets,
  '0008-people': people,
  '0009-notification-tests': notificationTests,
  '0010-tape-rest': tapeRest,
  '0011-runs-of-history': runsOfHistory,
  '0012-alerts': alerts,
  '0013-runs-without-tape': runsWithoutTape,
  '0014-longer-audit': longerAudit,
  '0016-refused-notifications': refusedNotifications,
}

/**
 * Brings the schema up to date; safe to run from several processes at once (the migrator takes a lock).
 * @returns the names of the migrations that ran.
 * @throws InvalidInputError when the database holds a migration that this version does not know.
 */
export async function migrate(database: Database): Promise<readonly string[]> {
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => migrations } })
  const { error, results } = await migrator.migrateToLatest()
  if (error === undefined)
    return (results ?? [])
      .filter((result) => result.status === 'Success')
      .map((result) => result.migrationName)
  const [unknown] = await unknownMigrations(database)
  if (unknown !== undefined)
    throw new InvalidInputError(
      `the catalogue has the migration ${unknown}, which this version of Cygnet does not know: the catalogue was made by a newer version, or by one from before version 1 of the schema (ADR 16)`,
      {},
      { cause: error },
    )
  throw new TransientError(
    `the catalogue's schema could not be brought up to date: ${String(error)}`,
    {},
    { cause: error },
  )
}

/** The names of the migrations that `migrate` would run now, in their order. */
export async function pendingMigrations(database: Database): Promise<readonly string[]> {
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => migrations } })
  return (await migrator.getMigrations())
    .filter(({ executedAt }) => executedAt === undefined)
    .map(({ name }) => name)
}

/** Whether the schema already has the audit, when these migrations have not run. */
export const hasAudit = (pending: readonly string[]): boolean => !pending.includes('0008-people')

/** None when the database cannot be asked: the migrator's own error is reported then. */
async function unknownMigrations(database: Database): Promise<readonly string[]> {
  const query = sql<{ name: string }>`SELECT name FROM ${sql.table(DEFAULT_MIGRATION_TABLE)} ORDER BY name`
  const { rows } = await query.execute(database).catch(() => ({ rows: [] }))
  return rows.map(({ name }) => name).filter((name) => !Object.hasOwn(migrations, name))
}

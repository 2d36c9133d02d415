/** The one place where connections to MariaDB are made. */

import { setTimeout as sleep } from 'node:timers/promises'
import { CamelCasePlugin, Kysely, MysqlDialect, type Transaction } from 'kysely'
import { createPool, type TypeCastField, type TypeCastNext } from 'mysql2'
import { DEADLOCK_RETRIES, deadlockPauseMs, isDeadlock, watchedPool } from './connections.ts'
import type { Schema } from './schema.ts'

export type Database = Kysely<Schema>

export interface StatementLimits {
  /** The server ends a statement itself after so long. */
  readonly statementSeconds: number
  /** One that has no answer by then never gets one, and its connection is given up. */
  readonly silenceMs: number
}

const USUAL: StatementLimits = { statementSeconds: 60, silenceMs: 75_000 }
/** For changes of the schema: on a large catalogue an index takes minutes. */
export const WITHOUT_LIMITS: StatementLimits = { statementSeconds: 0, silenceMs: 0 }
const CONNECT_MS = 10_000

/**
 * Rows are camelCase (`runNumber` is the column run_number), also those that raw SQL returns; inside a raw
 * `sql` fragment names stay as the tables have them, and keys within JSON columns stay as they are. The
 * legacy Runlog, whose column names are others' contract, is read through `withoutPlugins()`.
 */
export const ROW_NAMES = new CamelCasePlugin({ maintainNestedObjectKeys: true })

/**
 * Every session: UTC; strict, so that a value that does not fit is an error and not a silent -1; waits for
 * locks and statements that end, since a hung function is worse than a retried one.
 */
const sessionOf = ({ statementSeconds }: StatementLimits): readonly string[] => [
  `SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 20, max_statement_time = ${statementSeconds}`,
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
]

/** A TINYINT(1) is a boolean; not in the legacy Runlog, whose values are others' contract. */
function booleans(field: TypeCastField, next: TypeCastNext): unknown {
  if (field.type !== 'TINY' || field.length !== 1 || field.table === 'Runlog') return next()
  const text = field.string()
  return text === null ? null : text !== '0'
}

/**
 * Opens a pool of at most `connections` to the catalogue at `url` (mysql://user:password@host:port/database).
 */
export function openDatabase(url: string, connections: number, limits: StatementLimits = USUAL): Database {
  const { silenceMs } = limits
  const pool = createPool({
    uri: url,
    connectionLimit: connections,
    timezone: 'Z',
    charset: 'utf8mb4_unicode_520_ci',
    supportBigNumbers: true,
    decimalNumbers: true,
    connectTimeout: Math.min(CONNECT_MS, silenceMs || CONNECT_MS),
    enableKeepAlive: true,
    typeCast: booleans,
  })
  return new Kysely<Schema>({
    dialect: new MysqlDialect({ pool: watchedPool(pool, { session: sessionOf(limits), silenceMs }) }),
    plugins: [ROW_NAMES],
  })
}

/**
 * A transaction that is done again in place when it lost a deadlock. Single statements are repeated by their
 * connection.
 */
export async function inTransaction<T>(
  database: Database,
  work: (trx: Transaction<Schema>) => Promise<T>,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await database.transaction().execute(work)
    } catch (error) {
      if (failures >= DEADLOCK_RETRIES || !isDeadlock(error)) throw error
      await sleep(deadlockPauseMs(failures))
    }
  }
}

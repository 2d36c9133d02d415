/** Opens connections to MariaDB; no other module does. */

import { setTimeout as sleep } from 'node:timers/promises'
import { CamelCasePlugin, Kysely, MysqlDialect, type Transaction } from 'kysely'
import { createPool, type TypeCastField, type TypeCastNext } from 'mysql2'
import { DEADLOCK_RETRIES, deadlockPauseMs, isDeadlock, poolWithTimeouts } from './connections.ts'
import type { Schema } from './schema.ts'

export type Database = Kysely<Schema>
/** Statements on their own, or those of a transaction. */
export type Executor = Database | Transaction<Schema>

export interface StatementLimits {
  /** The server stops a statement after this time; 0: no limit. */
  readonly statementSeconds: number
  /** The client stops waiting for a statement after this time and destroys its connection; 0: no limit. */
  readonly clientTimeoutMs: number
}

const DEFAULT_LIMITS: StatementLimits = { statementSeconds: 60, clientTimeoutMs: 75_000 }
/** For changes of the schema: an index of a large catalogue takes minutes. */
export const WITHOUT_LIMITS: StatementLimits = { statementSeconds: 0, clientTimeoutMs: 0 }
const CONNECT_MS = 10_000

/**
 * Rows are camelCase (`runNumber` is the column run_number), also those that raw SQL returns. A raw `sql`
 * fragment uses the names of the tables, and keys within JSON columns are not renamed. The legacy Runlog,
 * whose column names are a contract with the old tools, is read through `withoutPlugins()`.
 */
export const ROW_NAMES = new CamelCasePlugin({ maintainNestedObjectKeys: true })

/**
 * Every session: UTC; strict mode, so that a value that does not fit its column is an error and not a silent
 * -1; limits for locks and statements, because a function that hangs is worse than one that is retried.
 */
const sessionOf = ({ statementSeconds }: StatementLimits): readonly string[] => [
  `SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 20, max_statement_time = ${statementSeconds}`,
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
]

/** A TINYINT(1) is a boolean, except in the legacy Runlog, where the old tools read integers. */
function booleans(field: TypeCastField, next: TypeCastNext): unknown {
  if (field.type !== 'TINY' || field.length !== 1 || field.table === 'Runlog') return next()
  const text = field.string()
  return text === null ? null : text !== '0'
}

/**
 * Opens a pool of at most `connections` to the catalogue at `url` (mysql://user:password@host:port/database).
 */
export function openDatabase(
  url: string,
  connections: number,
  limits: StatementLimits = DEFAULT_LIMITS,
): Database {
  const { clientTimeoutMs } = limits
  const pool = createPool({
    uri: url,
    connectionLimit: connections,
    timezone: 'Z',
    charset: 'utf8mb4_unicode_520_ci',
    supportBigNumbers: true,
    decimalNumbers: true,
    connectTimeout: Math.min(CONNECT_MS, clientTimeoutMs || CONNECT_MS),
    enableKeepAlive: true,
    typeCast: booleans,
  })
  return new Kysely<Schema>({
    dialect: new MysqlDialect({
      pool: poolWithTimeouts(pool, { session: sessionOf(limits), timeoutMs: clientTimeoutMs }),
    }),
    plugins: [ROW_NAMES],
  })
}

/**
 * Runs a transaction, and repeats it after a deadlock. Single statements are repeated by their connection.
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

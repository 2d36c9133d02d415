/**
 * Connections to MariaDB: each has its session set up, and is destroyed when the server does not answer in
 * time.
 */
import type { MysqlPool, MysqlPoolConnection, MysqlQueryResult } from 'kysely'
import type { Pool, PoolConnection } from 'mysql2'

export interface ConnectionOptions {
  /** The first statements on every connection. */
  readonly session: readonly string[]
  /**
   * Longest wait for the answer to a statement, ms; 0: no limit. After it the server's host probably hangs,
   * or the network was cut without a message. The connection is destroyed, so that others can take its place
   * in the pool.
   */
  readonly timeoutMs: number
}

/** Longest wait for the answers to statements when the pool is closed. */
const END_MS = 5000

type QueryCallback = (error: unknown, result: MysqlQueryResult) => void

export const DEADLOCK_RETRIES = 4

/**
 * Whether MariaDB rolled this statement or transaction back because of a deadlock, or because it waited too
 * long for a lock.
 */
export const isDeadlock = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'ER_LOCK_DEADLOCK' || error.code === 'ER_LOCK_WAIT_TIMEOUT')

/** The pause after this many failures; random, so that two transactions do not collide again. */
export const deadlockPauseMs = (failures: number): number => 20 * 2 ** failures * (0.5 + Math.random())

const BEGINS_TRANSACTION = /^(begin|start transaction)\b/i
const ENDS_TRANSACTION = /^(commit|rollback)$/i

/**
 * Also destroys the socket: mysql2 closes only its own half, and a server that hangs never closes the other.
 */
function discard(connection: PoolConnection): void {
  connection.destroy()
  const { stream } = connection as PoolConnection & { readonly stream?: { destroy(): void } }
  stream?.destroy()
}

const refuseToStream = (): never => {
  throw new TypeError('rows are not streamed, because a stream has no timeout')
}

/**
 * The pool for kysely's dialect. A statement without an answer in time fails with the code
 * PROTOCOL_SEQUENCE_TIMEOUT. A statement outside of a transaction is repeated after a deadlock.
 */
export function poolWithTimeouts(pool: Pool, { session, timeoutMs }: ConnectionOptions): MysqlPool {
  const prepared = new WeakMap<PoolConnection, MysqlPoolConnection>()
  const timeouts = new WeakMap<PoolConnection, unknown>()
  const busy = new Set<PoolConnection>()

  const execute = (connection: PoolConnection, sql: string, values: unknown[], answer: QueryCallback) => {
    busy.add(connection)
    connection.query({ sql, values, timeout: timeoutMs }, (error, result) => {
      busy.delete(connection)
      if (error?.code === 'PROTOCOL_SEQUENCE_TIMEOUT') {
        timeouts.set(connection, error)
        discard(connection)
      }
      // The rollback on a discarded connection fails as well; the timeout is the error to report.
      answer(error && (timeouts.get(connection) ?? error), result as unknown as MysqlQueryResult)
    })
  }

  function withRetries(connection: PoolConnection): MysqlPoolConnection {
    let inTransaction = false
    /**
     * A transaction is repeated as a whole by `inTransaction` (connect.ts), since the server rolls it back.
     */
    const send = (sql: string, values: unknown[], answer: QueryCallback, failures = 0) =>
      execute(connection, sql, values, (error, result) => {
        if (isDeadlock(error) && !inTransaction && failures < DEADLOCK_RETRIES)
          return void setTimeout(send, deadlockPauseMs(failures), sql, values, answer, failures + 1)
        if (ENDS_TRANSACTION.test(sql)) inTransaction = false
        answer(error, result)
      })
    return {
      // biome-ignore lint/suspicious/noExplicitAny: kysely's overloads, of which the one without a callback streams rows
      query(sql: string, values: unknown[], answer?: QueryCallback): any {
        if (answer === undefined) return refuseToStream()
        if (BEGINS_TRANSACTION.test(sql)) inTransaction = true
        send(sql, values, answer)
      },
      release: () => connection.release(),
    }
  }

  /** Sets the session up. A connection on which that fails is discarded. */
  async function prepare(connection: PoolConnection): Promise<MysqlPoolConnection> {
    try {
      for (const statement of session)
        await new Promise<void>((resolve, reject) => {
          execute(connection, statement, [], (error) => (error ? reject(error) : resolve()))
        })
    } catch (error) {
      discard(connection)
      throw error
    }
    const ours = withRetries(connection)
    prepared.set(connection, ours)
    return ours
  }

  return {
    getConnection(callback) {
      pool.getConnection((error, connection) => {
        if (error) return callback(error, connection as never)
        const known = prepared.get(connection)
        if (known !== undefined) return callback(null, known)
        prepare(connection).then(
          (ours) => callback(null, ours),
          (failure) => callback(failure, connection as never),
        )
      })
    },
    end(callback) {
      // mysql2 never ends a connection that was destroyed while a statement was running.
      const limit = setTimeout(() => {
        for (const connection of busy) discard(connection)
        callback(null)
      }, END_MS)
      pool.end((error) => {
        clearTimeout(limit)
        callback(error)
      })
    },
  }
}

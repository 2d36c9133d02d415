/**
 * Connections to MariaDB as the catalogue needs them: each with its session set up, and given up when the
 * server says nothing more.
 */
import type { MysqlPool, MysqlPoolConnection, MysqlQueryResult } from 'kysely'
import type { Pool, PoolConnection } from 'mysql2'

export interface ConnectionOptions {
  /** Statements that every connection begins with. */
  readonly session: readonly string[]
  /**
   * A statement that has no answer by then (0: for ever) never gets one: the server's host hangs, or the
   * network is cut and nobody was told. The connection is destroyed, because it is of no more use and others
   * wait for its place.
   */
  readonly silenceMs: number
}

/** A process that ends waits no longer for statements that are still not answered. */
const END_MS = 5000

type Answer = (error: unknown, result: MysqlQueryResult) => void

export const DEADLOCK_RETRIES = 4

/**
 * MariaDB chose this statement or transaction as the victim of a deadlock, or the lock was not given in time:
 * nothing of it was kept.
 */
export const isDeadlock = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'ER_LOCK_DEADLOCK' || error.code === 'ER_LOCK_WAIT_TIMEOUT')

/** After so many failures before; at random, so that two do not meet again. */
export const deadlockPauseMs = (failures: number): number => 20 * 2 ** failures * (0.5 + Math.random())

const BEGINS_TRANSACTION = /^(begin|start transaction)\b/i
const ENDS_TRANSACTION = /^(commit|rollback)$/i

/** With its socket: mysql2 ends only its own half, and a server that hangs never closes the other. */
function giveUp(connection: PoolConnection): void {
  connection.destroy()
  const { stream } = connection as PoolConnection & { readonly stream?: { destroy(): void } }
  stream?.destroy()
}

const refuseToStream = (): never => {
  throw new TypeError('rows are not streamed: a stream that is silent could not be given up')
}

/**
 * The pool as kysely's dialect takes it. Statements that got no answer fail with the code
 * PROTOCOL_SEQUENCE_TIMEOUT; one outside of a transaction that lost a deadlock is sent again.
 */
export function watchedPool(pool: Pool, { session, silenceMs }: ConnectionOptions): MysqlPool {
  const begun = new WeakMap<PoolConnection, MysqlPoolConnection>()
  const lost = new WeakMap<PoolConnection, unknown>()
  const busy = new Set<PoolConnection>()

  const ask = (connection: PoolConnection, sql: string, values: unknown[], answer: Answer) => {
    busy.add(connection)
    connection.query({ sql, values, timeout: silenceMs }, (error, result) => {
      busy.delete(connection)
      if (error?.code === 'PROTOCOL_SEQUENCE_TIMEOUT') {
        lost.set(connection, error)
        giveUp(connection)
      }
      // Of the rollback on what was given up: the first reason is the one to be told.
      answer(error && (lost.get(connection) ?? error), result as unknown as MysqlQueryResult)
    })
  }

  function watched(connection: PoolConnection): MysqlPoolConnection {
    let inTransaction = false
    /**
     * A whole transaction is repeated by `inTransaction` of database.ts: the server has rolled back what it
     * did before.
     */
    const send = (sql: string, values: unknown[], answer: Answer, failures = 0) =>
      ask(connection, sql, values, (error, result) => {
        if (isDeadlock(error) && !inTransaction && failures < DEADLOCK_RETRIES)
          return void setTimeout(send, deadlockPauseMs(failures), sql, values, answer, failures + 1)
        if (ENDS_TRANSACTION.test(sql)) inTransaction = false
        answer(error, result)
      })
    return {
      // biome-ignore lint/suspicious/noExplicitAny: kysely's overloads, of which the one without an answer streams rows
      query(sql: string, values: unknown[], answer?: Answer): any {
        if (answer === undefined) return refuseToStream()
        if (BEGINS_TRANSACTION.test(sql)) inTransaction = true
        send(sql, values, answer)
      },
      release: () => connection.release(),
    }
  }

  /** A connection whose session is not as it should be is used for nothing. */
  async function begin(connection: PoolConnection): Promise<MysqlPoolConnection> {
    try {
      for (const statement of session)
        await new Promise<void>((resolve, reject) => {
          ask(connection, statement, [], (error) => (error ? reject(error) : resolve()))
        })
    } catch (error) {
      giveUp(connection)
      throw error
    }
    const ours = watched(connection)
    begun.set(connection, ours)
    return ours
  }

  return {
    getConnection(callback) {
      pool.getConnection((error, connection) => {
        if (error) return callback(error, connection as never)
        const known = begun.get(connection)
        if (known !== undefined) return callback(null, known)
        begin(connection).then(
          (ours) => callback(null, ours),
          (failure) => callback(failure, connection as never),
        )
      })
    },
    end(callback) {
      // mysql2 waits for ever for a connection that is given up while it waits for its statement.
      const limit = setTimeout(() => {
        for (const connection of busy) giveUp(connection)
        callback(null)
      }, END_MS)
      pool.end((error) => {
        clearTimeout(limit)
        callback(error)
      })
    },
  }
}

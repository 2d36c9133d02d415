/**
 * The database of one call of a function: it has the story's time, and an accident can happen at every
 * statement.
 */
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  MysqlAdapter,
  MysqlIntrospector,
  MysqlQueryCompiler,
  type QueryResult,
  sql,
} from 'kysely'
import { type Database, ROW_NAMES } from '../../shared/database/connect.ts'
import type { Schema } from '../../shared/database/schema.ts'
import type { Call } from './call.ts'

export function databaseOf(base: Database, now: () => number, call: Call): Database {
  return new Kysely<Schema>({
    plugins: [ROW_NAMES],
    dialect: {
      createAdapter: () => new MysqlAdapter(),
      createQueryCompiler: () => new MysqlQueryCompiler(),
      createIntrospector: (database) => new MysqlIntrospector(database),
      createDriver: () => driverOf(base, now, call),
    },
  })
}

interface Session extends DatabaseConnection {
  /** Executes a statement without accidents. */
  run(statement: string): Promise<unknown>
  close(): Promise<void>
  inTransaction: boolean
}

function driverOf(base: Database, now: () => number, call: Call): Driver {
  async function rollBack(session: Session): Promise<void> {
    if (!session.inTransaction) return
    await session.run('rollback')
    leaveTransaction(call, session)
  }
  return {
    init: async () => {},
    acquireConnection: () => openSession(base, now, call),
    async beginTransaction(connection) {
      const session = connection as Session
      session.inTransaction = true
      call.transactions++
      await session.executeQuery(CompiledQuery.raw('begin'))
    },
    async commitTransaction(connection) {
      await connection.executeQuery(COMMIT)
    },
    // The server itself rolls back when a process dies or a connection is lost.
    rollbackTransaction: (connection) => rollBack(connection as Session),
    async releaseConnection(connection) {
      await rollBack(connection as Session)
      await (connection as Session).close()
    },
    destroy: async () => {},
  }
}

const COMMIT = CompiledQuery.raw('commit')

function leaveTransaction(call: Call, session: Session): void {
  if (session.inTransaction) call.transactions--
  session.inTransaction = false
}

async function openSession(base: Database, now: () => number, call: Call): Promise<Session> {
  const opened = Promise.withResolvers<Database>()
  const released = Promise.withResolvers<void>()
  const closed = base.connection().execute(async (session) => {
    // From here on UTC_TIMESTAMP() is the story's time.
    await sql`SET timestamp = ${now() / 1000}`.execute(session)
    opened.resolve(session)
    await released.promise
  })
  closed.catch(opened.reject)
  const executor = (await opened.promise).getExecutor()
  /** The error that the connection was lost with; later statements fail with it too. */
  let lost: unknown = null
  const own: Session = {
    inTransaction: false,
    run: (statement) => executor.executeQuery(CompiledQuery.raw(statement)),
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      if (lost !== null) throw lost
      let serverError = false
      try {
        return await call.through('database', async () => {
          const answer = await executor.executeQuery<R>(query as CompiledQuery<R>).catch((error: unknown) => {
            serverError = true
            throw error
          })
          if (query === COMMIT) leaveTransaction(call, own)
          return answer
        })
      } catch (error) {
        if (!serverError) lost = error
        throw error
      }
    },
    // biome-ignore lint/correctness/useYield: rows are not streamed
    async *streamQuery() {
      throw new Error('rows are not streamed here')
    },
    async close() {
      released.resolve()
      await closed
    },
  }
  return own
}

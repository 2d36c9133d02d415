/**
 * For tests: a new database, and a private bucket and queues on the real services of the test run. Names are
 * unique, so test files run at the same time without affecting each other.
 *
 * @example
 * const database = await startTestDatabase()
 * afterAll(() => database.drop())
 */
import { randomBytes } from 'node:crypto'
import { createConnection } from 'mysql2/promise'
import { inject } from 'vitest'
import {
  type Connection,
  controlEmbedded,
  type QueueDefinition,
  serviceEnvironment,
} from './services/embedded/embedded.ts'
import type { TestServicesAddress } from './test-services.ts'

export { temporaryFolder } from './test-services.ts'

declare module 'vitest' {
  interface ProvidedContext {
    readonly testServices: TestServicesAddress
  }
}

async function requestService<T>(path: '/mariadb' | '/embedded'): Promise<T> {
  const { endpoint, token } = inject('testServices')
  const response = await fetch(`${endpoint}${path}`, { headers: { authorization: `Bearer ${token}` } })
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as T
}

export interface TestDatabase {
  /** `mysql://…/<name>`: an account with all rights in this database. */
  readonly url: string
  /**
   * An account with all rights on the server, for tests that kill connections or read the server's status.
   */
  readonly adminUrl: string
  readonly name: string
  drop(): Promise<void>
}

/**
 * A new, empty database (utf8mb4) on the test run's MariaDB, whose durability is relaxed. The first call takes
 * 1.5 s.
 */
export async function startTestDatabase(): Promise<TestDatabase> {
  const server = await requestService<{ readonly url: string; readonly adminUrl: string }>('/mariadb')
  const name = `cygnet_${randomBytes(6).toString('hex')}`
  const execute = async (statement: string) => {
    const connection = await createConnection({ uri: server.url })
    await connection.query(statement)
    await connection.end()
  }
  await execute(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`)
  const withName = (url: string) => url.replace(/[^/]*$/, name)
  return {
    url: withName(server.url),
    adminUrl: withName(server.adminUrl),
    name,
    drop: () => execute(`DROP DATABASE IF EXISTS ${name}`),
  }
}

export interface TestStore {
  readonly connection: Connection
  /** A new, empty bucket. */
  readonly bucket: string
  /** Prefix of the name of every queue of this test; value for CYGNET_QUEUE_PREFIX. */
  readonly queuePrefix: string
  /** The CYGNET_* variables of this store and these queues, for `loadConfig`. */
  readonly environment: Readonly<Record<string, string>>
}

/**
 * A private bucket and queues on the test run's embedded S3 and SQS. Queue names are given without the prefix; each
 * queue gets a `<name>-dead`. The bucket sends no notifications until they are configured.
 */
export async function startTestStore(
  options: { readonly queues?: readonly QueueDefinition[] } = {},
): Promise<TestStore> {
  const connection = await requestService<Connection>('/embedded')
  const unique = randomBytes(6).toString('hex')
  const bucket = `test-${unique}`
  const queuePrefix = `t${unique}-`
  await controlEmbedded(connection.control, {
    change: {
      buckets: [bucket],
      queues: (options.queues ?? []).map((queue) => ({ ...queue, name: `${queuePrefix}${queue.name}` })),
    },
  })
  return {
    connection,
    bucket,
    queuePrefix,
    environment: {
      ...serviceEnvironment(connection),
      CYGNET_QUEUE_PREFIX: queuePrefix,
      CYGNET_RAW_BUCKETS: bucket,
    },
  }
}

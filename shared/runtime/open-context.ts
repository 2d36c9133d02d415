/** Opens what a process needs (shared/context.ts), once. */
import { randomUUID } from 'node:crypto'
import type { Config } from '../config/config.ts'
import type { Context, StorageContext, TapeContext } from '../context.ts'
import { openDatabase } from '../database/connect.ts'
import { createLogger, type Logger } from '../log.ts'
import { createSqsClient } from '../queue/client.ts'
import { createQueues } from '../queue/queues.ts'
import { createPublicS3Client, createS3Client } from '../storage/client.ts'
import { openTapeDriver } from '../tape/open-driver.ts'

/** Connects to the catalogue and the queues (both lazily, on first use). */
export function createContext(
  config: Config,
  name: string,
  log: Logger = createLogger({ function: name, level: config.host.logLevel }),
): Context {
  const database = openDatabase(config.database.url, config.database.connections)
  const sqs = createSqsClient(config)
  return {
    config,
    log,
    database,
    sqs,
    queues: createQueues(sqs, config.queue.prefix),
    now: () => new Date(),
    owner: `${name}-${process.pid}-${randomUUID().slice(0, 8)}`,
    async close() {
      sqs.destroy()
      await database.destroy()
    },
  }
}

/** The same with the object store. */
export function createStorageContext(config: Config, name: string, log?: Logger): StorageContext {
  const context = createContext(config, name, log)
  const s3 = createS3Client(config)
  return {
    ...context,
    s3,
    async close() {
      s3.destroy()
      await context.close()
    },
  }
}

/** The same with the place for second copies. */
export async function createTapeContext(config: Config, name: string, log?: Logger): Promise<TapeContext> {
  const context = createStorageContext(config, name, log)
  const publicS3 = createPublicS3Client(config)
  const tape = await openTapeDriver(config, context.log)
  return {
    ...context,
    publicS3,
    tape,
    async close() {
      publicS3.destroy()
      await tape?.close()
      await context.close()
    },
  }
}

/**
 * What a process needs, made once by its host (shared/runtime/open-context.ts) and handed down: no module
 * opens a connection of its own.
 */
import type { S3Client } from '@aws-sdk/client-s3'
import type { SQSClient } from '@aws-sdk/client-sqs'
import type { Config } from './config/config.ts'
import type { Database } from './database/connect.ts'
import type { Logger } from './log.ts'
import type { Queues } from './queue/queues.ts'
import type { TapeDriver } from './tape/driver.ts'

/** For functions that only write down and pass on. */
export interface Context {
  readonly config: Config
  readonly log: Logger
  readonly database: Database
  readonly queues: Queues
  /** For the queue pump; functions use `queues`. */
  readonly sqs: SQSClient
  readonly now: () => Date
  /** Names this process in leases. */
  readonly owner: string
  close(): Promise<void>
}

/** For functions that also read objects. */
export interface StorageContext extends Context {
  readonly s3: S3Client
}

/** For functions that also deal with second copies. */
export interface TapeContext extends StorageContext {
  /** Signs links: the store as others reach it. */
  readonly publicS3: S3Client
  /** Null where none is configured: then requests for copies wait. */
  readonly tape: TapeDriver | null
}

/**
 * The capabilities of a process, created once by its host (shared/runtime/open-context.ts) and passed down:
 * no module opens a connection of its own. A function names the capabilities that it needs, and its host
 * opens only those.
 *
 * @example
 * async function findOpenRuns({ database, now }: Context<'database'>): Promise<Run[]>
 */
import type { S3Client } from '@aws-sdk/client-s3'
import type { AlertChannel } from './alerts/channels/channel.ts'
import type { Config } from './config/config.ts'
import type { Database } from './database/connect.ts'
import type { Logger } from './log.ts'
import type { Queues } from './queue/queues.ts'
import type { TapeDriver } from './tape/driver.ts'

export interface Capabilities {
  readonly database: Database
  readonly queues: Queues
  readonly s3: S3Client
  /** Signs links with the public address of the store. */
  readonly publicS3: S3Client
  /** Null where no tape endpoint is configured: then requests for copies wait. */
  readonly tape: TapeDriver | null
  /** Where alerts are shown; none where no channel is configured. */
  readonly channels: readonly AlertChannel[]
}

export type Capability = keyof Capabilities

/** What every process has. */
interface Process {
  readonly config: Config
  readonly log: Logger
  /** The database's time (shared/database/clock.ts); without a database that of the machine. */
  readonly now: () => Date
  /** Identifies this process in leases. */
  readonly owner: string
}

export type Context<Needs extends Capability = never> = Process & Pick<Capabilities, Needs>

/**
 * The embedded S3 and SQS: one separate process, for development and tests without a container or an account.
 * Objects are files in the folder; events of a bucket go to the queues in its notification configuration, named by
 * their `queueArn`.
 */

import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from '../../environment.ts'
import { freePort, LOOPBACK } from '../../ports.ts'
import { type Service, serviceFolder, startProcess } from '../../process.ts'
import { randomSecret, writePrivateFile } from '../../secrets.ts'
import { controlEmbedded } from './control.ts'
import type {
  Change,
  Connection,
  Credentials,
  EmbeddedState,
  QueueDefinition,
  StartSettings,
} from './settings.ts'
import { connectionSchema, credentialsSchema, REGION } from './settings.ts'

export { controlEmbedded } from './control.ts'
export type { Change, Connection, EmbeddedState, QueueDefinition } from './settings.ts'
export { queueArn } from './settings.ts'

export interface EmbeddedOptions {
  /**
   * The folder of all services, normally `.cygnet`; objects (and stored messages) in it are used again.
   */
  readonly dataFolder: string
  readonly buckets?: readonly string[]
  readonly queues?: readonly QueueDefinition[]
  /** False: the store sends no notifications, like a store that has lost them. Default: true. */
  readonly notifications?: boolean
  /**
   * Store messages on disk, for restarts. Default: true; tests without a restart are faster without it.
   */
  readonly keepMessages?: boolean
  /** Ports on 127.0.0.1; default: free ones. */
  readonly s3Port?: number | undefined
  readonly sqsPort?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Embedded extends Service {
  readonly connection: Connection
  /** Adds buckets and queues, or switches notifications, while it runs. */
  change(change: Change): Promise<EmbeddedState>
  state(): Promise<EmbeddedState>
}

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

/**
 * Starts the embedded services and waits until they answer (0.5 s).
 * @throws TransientError when they do not start; the message has the end of their log.
 * @throws InvalidInputError when they already run in this folder for another process.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const dataFolder = resolve(options.dataFolder)
  const folder = serviceFolder(dataFolder, 'embedded')
  const credentials = storedCredentials(join(folder, 'credentials.json'))
  const settings: StartSettings = {
    folder,
    s3Port: options.s3Port ?? (await freePort()),
    sqsPort: options.sqsPort ?? (await freePort()),
    controlPort: await freePort(),
    controlToken: randomSecret(),
    credentials,
    keepMessages: options.keepMessages ?? true,
    notifications: options.notifications ?? true,
    buckets: [...(options.buckets ?? [])],
    queues: [...(options.queues ?? [])],
  }
  const address = (port: number) => `http://${LOOPBACK}:${port}`
  const connection: Connection = {
    s3: { endpoint: address(settings.s3Port), region: REGION, ...credentials },
    sqs: { endpoint: address(settings.sqsPort), region: REGION, ...credentials },
    control: { endpoint: address(settings.controlPort), token: settings.controlToken },
  }
  const settingsFile = join(folder, 'settings.json')
  writePrivateFile(settingsFile, JSON.stringify(settings))
  const service = await startProcess({
    name: 'embedded',
    dataFolder,
    program: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', MAIN, settingsFile],
    // The compiled code of the modules is cached, once per user: the second start takes half the time.
    environment: { NODE_COMPILE_CACHE: join(cacheFolder(), 'compiled') },
    probe: (signal) => controlEmbedded(connection.control, { signal }),
    signal: options.signal,
  })
  writePrivateFile(join(folder, 'connection.json'), JSON.stringify(connection))
  return {
    ...service,
    connection,
    change: (change) => controlEmbedded(connection.control, { change }),
    state: () => controlEmbedded(connection.control),
  }
}

/**
 * The addresses and credentials of the embedded services of this folder, written at the last start; null if there
 * was none.
 */
export function readConnection(dataFolder: string): Connection | null {
  try {
    return connectionSchema.parse(
      JSON.parse(readFileSync(join(dataFolder, 'embedded', 'connection.json'), 'utf8')),
    )
  } catch {
    return null
  }
}

function storedCredentials(path: string): Credentials {
  try {
    return credentialsSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    const credentials = {
      accessKeyId: `CYGNET${randomSecret(14).toUpperCase()}`,
      secretAccessKey: randomSecret(40),
    }
    writePrivateFile(path, JSON.stringify(credentials))
    return credentials
  }
}

/** The CYGNET_* variables with which a function uses these services. */
export function serviceEnvironment({ s3, sqs }: Connection): Readonly<Record<string, string>> {
  return {
    CYGNET_S3_ENDPOINT: s3.endpoint,
    CYGNET_S3_REGION: s3.region,
    CYGNET_S3_ACCESS_KEY_ID: s3.accessKeyId,
    CYGNET_S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
    CYGNET_S3_SDK_CHECKSUMS: 'WHEN_REQUIRED',
    CYGNET_SQS_ENDPOINT: sqs.endpoint,
    CYGNET_SQS_REGION: sqs.region,
    CYGNET_SQS_ACCESS_KEY_ID: sqs.accessKeyId,
    CYGNET_SQS_SECRET_ACCESS_KEY: sqs.secretAccessKey,
  }
}

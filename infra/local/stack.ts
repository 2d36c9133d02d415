/**
 * The whole of Cygnet on one machine: private MariaDB, an S3 store, SQS, and every function of the manifest as a process
 * of its own, restarted when it dies. Everything lives under one folder (`.cygnet`).
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openDatabase } from '../../shared/catalogue/database.ts'
import { migrate } from '../../shared/catalogue/migrate.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { type Embedded, serviceEnvironment, startEmbedded } from './embedded.ts'
import { type FunctionEntry, readManifest } from './manifest.ts'
import { startMariadb } from './mariadb.ts'
import { type Service, serviceFolder, startProcess } from './process.ts'
import { keptSecret, writePrivateFile } from './secrets.ts'

/** Written while the stack runs: the settings that lead the CLI to it. Readable by its owner only. */
const STACK_FILE = 'stack.json'
export const RAW_BUCKET = 'cygno-data'

/** Parts beyond MariaDB and the embedded S3 and SQS. */
export const EXTRAS = ['minio'] as const
export type Extra = (typeof EXTRAS)[number]

export interface StackOptions {
  /** Normally `.cygnet`. */
  readonly dataFolder: string
  /** Real parts in place of the embedded ones. */
  readonly extras: readonly Extra[]
  /** False: the store sends no notifications; `cygnet reconcile` finds the runs. */
  readonly notifications: boolean
  /** Settings that override the stack's own. */
  readonly environment?: Readonly<Record<string, string>>
  /** For tests: no flush to disk at each commit. */
  readonly fast?: boolean
  readonly signal: AbortSignal
  readonly onProgress?: (line: string) => void
}

export interface Stack {
  /** CYGNET_* settings of every process of the stack. */
  readonly environment: Readonly<Record<string, string>>
  readonly embedded: Embedded
  /** Address of each HTTP function. */
  address(functionName: string): string
  /** The process that runs a function now: tests kill it. */
  pid(functionName: string): number
  stop(): Promise<void>
}

/** Starts everything and waits until it answers: about 4 s. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const dataFolder = resolve(options.dataFolder)
  const manifest = readManifest()
  const started: Service[] = []
  const hosts = new Map<string, FunctionHost>()
  const stop = async () => {
    rmSync(join(dataFolder, STACK_FILE), { force: true })
    await Promise.all([...hosts.values()].map((host) => host.stop()))
    for (const service of started.toReversed()) await service.stop()
  }
  try {
    const mariadb = await startMariadb({ dataFolder, fast: options.fast ?? false, signal: options.signal })
    started.push(mariadb)
    options.onProgress?.(`MariaDB on port ${mariadb.port}`)
    const embedded = await startEmbedded({
      dataFolder,
      buckets: [RAW_BUCKET],
      queues: manifest.queues,
      rules: [{ bucket: RAW_BUCKET, queue: 'runs', events: ['ObjectCreated:*'] }],
      notifications: options.notifications,
      signal: options.signal,
    })
    started.push(embedded)
    options.onProgress?.(`S3 at ${embedded.connection.s3.endpoint}, SQS at ${embedded.connection.sqs.endpoint}`)
    const environment = {
      CYGNET_DATABASE_URL: mariadb.url,
      ...serviceEnvironment(embedded.connection),
      CYGNET_RAW_BUCKETS: RAW_BUCKET,
      CYGNET_NOTIFICATION_TOKEN: keptSecret(join(serviceFolder(dataFolder, 'receive-notification'), 'token')),
      CYGNET_LEASE_SECONDS: '30',
      ...options.environment,
    }
    await migrateSchema(environment.CYGNET_DATABASE_URL)
    for (const entry of manifest.functions) hosts.set(entry.name, await runFunction(entry, dataFolder, environment, options))
    options.onProgress?.(`functions: ${manifest.functions.map((entry) => entry.name).join(', ')}`)
    writePrivateFile(join(dataFolder, STACK_FILE), JSON.stringify({ pid: process.pid, environment }))
    return {
      environment,
      embedded,
      stop,
      address: (name) => `http://127.0.0.1:${hostOf(hosts, name).port()}`,
      pid: (name) => hostOf(hosts, name).pid(),
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The settings of the stack that runs in this folder; null when none does. */
export function readStack(dataFolder: string): Readonly<Record<string, string>> | null {
  try {
    return JSON.parse(readFileSync(join(dataFolder, STACK_FILE), 'utf8')).environment
  } catch {
    return null
  }
}

async function migrateSchema(url: string): Promise<void> {
  const database = openDatabase(url, 1)
  try {
    await migrate(database)
  } finally {
    await database.destroy()
  }
}

interface FunctionHost {
  pid(): number
  port(): number
  stop(): Promise<void>
}

function hostOf(hosts: ReadonlyMap<string, FunctionHost>, name: string): FunctionHost {
  const host = hosts.get(name)
  if (host === undefined) throw new InvalidInputError(`there is no function ${name}`)
  return host
}

const HOST = fileURLToPath(new URL('./host.ts', import.meta.url))
/** Before a function that died is started again; doubles up to the maximum while it keeps dying. */
const RESTART_MS = 200
const MAX_RESTART_MS = 10_000

/** Runs one function and starts it again whenever it dies. */
async function runFunction(
  entry: FunctionEntry,
  dataFolder: string,
  environment: Readonly<Record<string, string>>,
  options: StackOptions,
): Promise<FunctionHost> {
  const readyFile = join(serviceFolder(dataFolder, entry.name), 'ready.json')
  const start = () => {
    rmSync(readyFile, { force: true })
    return startProcess({
      name: entry.name,
      dataFolder,
      program: process.execPath,
      args: ['--disable-warning=ExperimentalWarning', HOST, entry.name],
      environment,
      probe: async () => existsSync(readyFile),
      graceSeconds: 30,
      signal: options.signal,
    })
  }
  let service = await start()
  let stopping = false
  const watch = async () => {
    let delayMs = RESTART_MS
    while (!stopping) {
      const startedAt = performance.now()
      const how = await service.ended
      if (stopping) return
      if (performance.now() - startedAt > MAX_RESTART_MS) delayMs = RESTART_MS
      options.onProgress?.(`${entry.name} ended (${how}); starting it again`)
      await sleep(delayMs)
      delayMs = Math.min(delayMs * 2, MAX_RESTART_MS)
      service = await start().catch((error: Error) => {
        options.onProgress?.(`${entry.name} does not start: ${error.message}`)
        return service
      })
    }
  }
  const watching = watch()
  return {
    pid: () => service.pid,
    port: () => JSON.parse(readFileSync(readyFile, 'utf8')).port,
    async stop() {
      stopping = true
      await service.stop()
      await watching
    },
  }
}

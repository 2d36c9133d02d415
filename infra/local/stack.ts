/**
 * Cygnet on one machine: a private MariaDB, an S3 store, SQS, and every function of the manifest as a separate
 * process, each restarted when it dies. All data are under one folder (`.cygnet`).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createToken, findToken, listTokens, revokeTokens, stateOf } from '../../shared/access/tokens.ts'
import { OTHER_TAGS, setTakeOver } from '../../shared/catalogue/take-over.ts'
import { loadConfig } from '../../shared/config/config.ts'
import { databaseTime } from '../../shared/database/clock.ts'
import { openDatabase, WITHOUT_LIMITS } from '../../shared/database/connect.ts'
import { migrate } from '../../shared/database/migrate.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { applyBucketNotifications } from '../../shared/storage/bucket-notifications.ts'
import { createTopic } from '../../shared/storage/ceph.ts'
import { createS3Client } from '../../shared/storage/client.ts'
import { lockFolder } from './folder-lock.ts'
import { identify, isRunning } from './identity.ts'
import { keptPorts } from './kept-ports.ts'
import { type FunctionEntry, readManifest } from './manifest.ts'
import { clearPidFile } from './pid-file.ts'
import { type Service, serviceFolder, startProcess } from './process.ts'
import { storedSecret, writePrivateFile } from './secrets.ts'
import { type Ceph, startCeph } from './services/ceph.ts'
import { type Discord, startDiscord } from './services/discord/discord.ts'
import { queueArn, serviceEnvironment, startEmbedded } from './services/embedded/embedded.ts'
import { type Iam, startIam } from './services/iam/iam.ts'
import { startMariadb } from './services/mariadb.ts'
import { MINIO_TARGET_ARN, type Minio, startMinio } from './services/minio.ts'
import { startXrootd, type Xrootd } from './services/xrootd/xrootd.ts'
import type { Extra } from './setup.ts'
import { settingsFrom } from './stack-settings.ts'
import { type Supervised, supervise } from './supervise.ts'

/**
 * The settings with which the CLI finds the running stack, and the process that runs it. Readable only by its
 * owner.
 */
const STACK_FILE = 'stack.json'
const LOCK_FILE = 'stack.lock'
const PORTS_FILE = 'ports.json'
/** The token of the CLI for the stack's API. */
const TOKEN_FILE = 'api-token'
/** A function that works when its starter is dead ends within three seconds, MariaDB a little later. */
const LEFTOVER_GRACE_SECONDS = 10
/** The same S3 keys as variables of aws, rclone and other clients. */
const S3_ENV_FILE = 's3.env'
/** Stopped after the functions, in the reverse order of their start. */
const SERVICES: readonly string[] = ['mariadb', 'embedded', 'minio', 'ceph', 'xrootd', 'discord', 'iam']
const RAW_BUCKET = 'cygno-data'
const WEBHOOK = 'receive-notification'
const TOPIC = 'cygnet'
const CATALOGUE = 'catalog-api'

export interface StackOptions {
  /** Normally `.cygnet`. */
  readonly dataFolder: string
  /** Real parts in place of the embedded ones. */
  readonly extras: readonly Extra[]
  /** False: the store sends no notifications; `cygnet reconcile` finds the runs. */
  readonly notifications: boolean
  /** Settings of the caller's environment; they override the stack's own, except its addresses. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** For tests: no flush to disk at each commit. */
  readonly fast?: boolean
  /** Processes of each queue function; they share its queue. One when absent. */
  readonly workers?: number
  readonly signal: AbortSignal
  readonly onProgress?: (line: string) => void
}

export interface Stack {
  /** CYGNET_* settings of every process of the stack, and the token of its CLI. */
  readonly environment: Readonly<Record<string, string>>
  /** Address of an HTTP function. */
  address(functionName: string): string
  /** The users that can sign in. */
  readonly users: Iam['users']
  /** Address of the page with the channels of the stand-in for Discord; null without it. */
  readonly discordPage: string | null
  /** The process that runs a function or service now: tests kill it. */
  pid(name: string): number
  stop(): Promise<void>
}

/**
 * Starts everything and waits until it answers: about 4 s. Ports and the CLI's token are those of the last start
 * in the folder.
 * @throws InvalidInputError when a stack already runs in the folder; it is left alone. Also for two stores.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  if (options.extras.includes('minio') && options.extras.includes('ceph'))
    throw new InvalidInputError('minio and ceph are both stores: choose one')
  const dataFolder = resolve(options.dataFolder)
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 })
  const unlock = lockFolder(join(dataFolder, LOCK_FILE))
  try {
    await stopLeftovers(dataFolder, options.signal)
    const stack = await startLocked({ ...options, dataFolder })
    return { ...stack, stop: () => stack.stop().finally(unlock) }
  } catch (error) {
    unlock()
    throw error
  }
}

/** Stops services whose starter was killed; they would still hold the ports of this folder. */
async function stopLeftovers(dataFolder: string, signal: AbortSignal): Promise<void> {
  await Promise.all(
    readdirSync(dataFolder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) =>
        clearPidFile({
          path: join(dataFolder, name, 'pid'),
          service: name,
          graceSeconds: LEFTOVER_GRACE_SECONDS,
          signal,
        }),
      ),
  )
}

async function startLocked(options: StackOptions): Promise<Stack> {
  const { dataFolder } = options
  const { fast = false, signal } = options
  const report = options.onProgress ?? (() => {})
  const manifest = readManifest()
  const running = new Map<string, Supervised<Service>>()
  const startSupervised = async <T extends Service>(name: string, start: () => Promise<T>): Promise<T> => {
    const supervised = await supervise(start, report)
    running.set(name, supervised)
    return supervised.current()
  }
  const ports = keptPorts(join(dataFolder, PORTS_FILE), report)
  const stop = async () => {
    rmSync(join(dataFolder, STACK_FILE), { force: true })
    const isService = (name: string) => SERVICES.includes(name)
    await Promise.all([...running].map(([name, worker]) => (isService(name) ? null : worker.stop())))
    for (const [name, service] of [...running].toReversed()) if (isService(name)) await service.stop()
  }
  try {
    const databasePort = await ports.of('mariadb')
    const mariadb = await startSupervised('mariadb', () =>
      startMariadb({ dataFolder, port: databasePort, fast, signal }),
    )
    report(`MariaDB on port ${mariadb.port}`)
    const realStore = options.extras.find((extra) => extra === 'minio' || extra === 'ceph') ?? null
    const [s3Port, sqsPort] = [await ports.of('s3'), await ports.of('sqs')]
    const embedded = await startSupervised('embedded', () =>
      startEmbedded({
        dataFolder,
        s3Port,
        sqsPort,
        buckets: realStore === null ? [RAW_BUCKET] : [],
        queues: manifest.queues,
        notifications: options.notifications,
        signal,
      }),
    )
    report(
      `${realStore !== null ? 'SQS' : `S3 at ${embedded.connection.s3.endpoint}, SQS`} at ${embedded.connection.sqs.endpoint}`,
    )
    const xrootdPort = options.extras.includes('xrootd') ? await ports.of('xrootd') : null
    const xrootd =
      xrootdPort === null
        ? null
        : await startSupervised('xrootd', () => startXrootd({ dataFolder, port: xrootdPort, signal }))
    if (xrootd !== null) report(`tape (XRootD, WebDAV) at ${xrootd.url}`)
    const discordPort = options.extras.includes('discord') ? await ports.of('discord') : null
    const discord: Discord | null =
      discordPort === null
        ? null
        : await startSupervised('discord', () => startDiscord({ dataFolder, port: discordPort, signal }))
    if (discord !== null) report(`Discord (a local stand-in) at ${discord.page}`)
    const notificationToken = storedSecret(join(serviceFolder(dataFolder, 'receive-notification'), 'token'))
    const httpPorts = new Map<string, number>()
    for (const { name, trigger } of manifest.functions)
      if (trigger.kind === 'http') httpPorts.set(name, await ports.of(name))
    const address = (name: string) => {
      if (!httpPorts.has(name)) throw new InvalidInputError(`${name} has no address`)
      return `http://127.0.0.1:${httpPorts.get(name)}`
    }
    const iamPort = await ports.of('iam')
    const iam = await startSupervised('iam', () =>
      startIam({ dataFolder, publicUrl: address(CATALOGUE), port: iamPort, signal }),
    )
    report(`catalogue at ${address(CATALOGUE)}, signing in at ${iam.issuer}`)
    const own = {
      CYGNET_DATABASE_URL: mariadb.url,
      ...serviceEnvironment(embedded.connection),
      CYGNET_RAW_BUCKETS: RAW_BUCKET,
      CYGNET_NOTIFICATION_TOKEN: notificationToken,
      CYGNET_LEASE_SECONDS: '30',
      ...iam.environment,
      CYGNET_PUBLIC_URL: address(CATALOGUE),
      CYGNET_API_URL: address(CATALOGUE),
      CYGNET_LOG_FOLDER: serviceFolder(dataFolder, 'logs'),
      ...discord?.environment,
      ...(xrootd === null
        ? { CYGNET_TAPE_DRIVER: 'directory', CYGNET_TAPE_DIRECTORY: tapeFolder(dataFolder) }
        : tapeEnvironment(xrootd)),
    }
    const { settings: base, notes } = settingsFrom(own, options.environment ?? {})
    for (const note of notes) report(note)
    const token = await prepareCatalogue(mariadb.url, join(dataFolder, TOKEN_FILE))
    const storePort = realStore === null ? null : await ports.of(realStore)
    const runFunction = (
      entry: FunctionEntry,
      environment: Readonly<Record<string, string>>,
      worker = entry.name,
    ) =>
      startSupervised(worker, () =>
        startFunction(entry, worker, dataFolder, environment, httpPorts.get(entry.name) ?? null, signal),
      )
    // The webhook first: a real store checks that it answers.
    const others = manifest.functions.filter((entry) => entry.name !== WEBHOOK)
    for (const entry of manifest.functions) if (entry.name === WEBHOOK) await runFunction(entry, base)
    const webhook = { endpoint: `${address(WEBHOOK)}/${realStore}`, token: notificationToken }
    const store =
      realStore === null
        ? null
        : await startSupervised<Minio | Ceph>(realStore, () => {
            const shared = { dataFolder, port: storePort ?? undefined, buckets: [RAW_BUCKET], signal }
            return realStore === 'minio' ? startMinio({ ...shared, webhook }) : startCeph(shared)
          })
    if (store !== null) report(`S3 (${store.name}) at ${store.s3.endpoint}`)
    const environment = { ...base, ...(store === null ? {} : storeEnvironment(store)) }
    const cliEnvironment = { ...environment, CYGNET_API_TOKEN: token }
    if (options.notifications) await sendArrivals(environment, realStore, webhook, signal)
    await Promise.all(
      others.flatMap((entry) =>
        workersOf(entry, options.workers ?? 1).map((worker) => runFunction(entry, environment, worker)),
      ),
    )
    report(`functions: ${manifest.functions.map((entry) => entry.name).join(', ')}`)
    writePrivateFile(
      join(dataFolder, STACK_FILE),
      JSON.stringify({ process: identify(process.pid), environment: cliEnvironment }),
    )
    writePrivateFile(join(dataFolder, S3_ENV_FILE), s3Variables(environment))
    return {
      environment: cliEnvironment,
      address,
      users: iam.users,
      discordPage: discord?.page ?? null,
      pid(name) {
        const service = running.get(name)
        if (service === undefined) throw new InvalidInputError(`the stack runs no ${name}`)
        return service.current().pid
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The settings of the stack that runs in this folder; null when none is running. */
export function readStack(dataFolder: string): Readonly<Record<string, string>> | null {
  try {
    const stack = JSON.parse(readFileSync(join(dataFolder, STACK_FILE), 'utf8'))
    // The file of a stack that was killed states addresses where nothing answers, or something else.
    return isRunning(stack.process) ? stack.environment : null
  } catch {
    return null
  }
}

/** The folder of the second copies. It is created here, since a driver never creates its own root. */
function tapeFolder(dataFolder: string): string {
  const folder = join(dataFolder, 'tape')
  mkdirSync(folder, { recursive: true, mode: 0o750 })
  return folder
}

/** The CLI's token for the stack's API, with the scopes that the commands need. */
const TOKEN = {
  name: 'local-stack',
  machine: hostname(),
  scopes: ['read:*', 'link:*', 'recall:*', 'push:*'],
  days: 365,
} as const
/**
 * The clock of a store of one's own may be behind the database's by this much, and no run that is stored after the
 * first start is taken for older. What was stored in this time before is copied to tape like new runs.
 */
const STORE_CLOCK_BEHIND_MS = 3_600_000
/** A token that ends within a month is replaced at the next start. */
const TOKEN_LEFT_MS = 30 * 86_400_000

/**
 * Migrates the schema, sets the take-over time of all tags at the first start, and returns the secret of the
 * CLI's token: the one in the file while it is valid.
 */
async function prepareCatalogue(url: string, tokenFile: string): Promise<string> {
  const database = openDatabase(url, 1, WITHOUT_LIMITS)
  try {
    await migrate(database)
    const at = await databaseTime(database)
    const since = new Date(at.getTime() - STORE_CLOCK_BEHIND_MS)
    await setTakeOver(database, OTHER_TAGS, since, { at, keep: true })
    const stored = readText(tokenFile)
    const found = stored === null ? null : await findToken(database, stored)
    if (
      stored !== null &&
      found !== null &&
      stateOf(found, new Date(at.getTime() + TOKEN_LEFT_MS)) === 'valid'
    )
      return stored
    const hasEarlier = (await listTokens(database)).some(({ name }) => name === TOKEN.name)
    if (hasEarlier) await revokeTokens(database, TOKEN.name, at)
    const { secret } = await createToken(database, TOKEN, at)
    writePrivateFile(tokenFile, secret)
    return secret
  } finally {
    await database.destroy()
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}

function tapeEnvironment(xrootd: Xrootd) {
  return {
    CYGNET_TAPE_DRIVER: 'webdav',
    CYGNET_TAPE_URL: xrootd.url,
    CYGNET_TAPE_CA_FILE: xrootd.caFile,
    CYGNET_TAPE_REST: 'never', // its disk is the medium
    CYGNET_TAPE_TOKEN: xrootd.token(365 * 86_400),
  }
}

function storeEnvironment({ name, s3 }: Minio | Ceph) {
  return {
    CYGNET_S3_ENDPOINT: s3.endpoint,
    CYGNET_S3_REGION: s3.region,
    CYGNET_S3_ACCESS_KEY_ID: s3.accessKeyId,
    CYGNET_S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
    CYGNET_S3_SDK_CHECKSUMS: name === 'minio' ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED',
  }
}

/** Configures the store to send notifications for the bucket of runs to a queue or the webhook. */
async function sendArrivals(
  environment: Readonly<Record<string, string>>,
  realStore: 'minio' | 'ceph' | null,
  { endpoint, token: opaqueData }: { readonly endpoint: string; readonly token: string },
  signal: AbortSignal,
): Promise<void> {
  const s3 = createS3Client(loadConfig(environment))
  try {
    const arn =
      realStore === null
        ? queueArn('runs')
        : realStore === 'minio'
          ? MINIO_TARGET_ARN
          : await createTopic(s3, TOPIC, { endpoint, opaqueData }, signal)
    await applyBucketNotifications(s3, { bucket: RAW_BUCKET, arn }, signal)
  } finally {
    s3.destroy()
  }
}

/**
 * Names of the processes that run a function: its own name, then `<name>-2` and so on for a queue function with
 * several processes.
 */
function workersOf(entry: FunctionEntry, workers: number): readonly string[] {
  const count = entry.trigger.kind === 'queue' ? workers : 1
  return Array.from({ length: count }, (_, index) =>
    index === 0 ? entry.name : `${entry.name}-${index + 1}`,
  )
}

const HOST = fileURLToPath(new URL('./host.ts', import.meta.url))

/** One function as a process: ready when its host has written a file in its folder. */
async function startFunction(
  entry: FunctionEntry,
  worker: string,
  dataFolder: string,
  environment: Readonly<Record<string, string>>,
  port: number | null,
  signal: AbortSignal,
): Promise<Service> {
  const readyFile = join(serviceFolder(dataFolder, worker), 'ready')
  rmSync(readyFile, { force: true })
  return await startProcess({
    name: worker,
    dataFolder,
    program: process.execPath,
    // A small young generation (MiB) limits the memory of a function while it streams, since the used buffers of
    // a stream remain there until it is collected.
    args: [
      '--disable-warning=ExperimentalWarning',
      '--max-semi-space-size=1',
      HOST,
      entry.name,
      readyFile,
      ...(port === null ? [] : [String(port)]),
    ],
    environment,
    probe: async () => existsSync(readyFile),
    graceSeconds: 30,
    signal,
  })
}

function s3Variables(environment: Readonly<Record<string, string>>): string {
  return [
    `export AWS_ACCESS_KEY_ID=${environment.CYGNET_S3_ACCESS_KEY_ID}`,
    `export AWS_SECRET_ACCESS_KEY=${environment.CYGNET_S3_SECRET_ACCESS_KEY}`,
    `export AWS_REGION=${environment.CYGNET_S3_REGION}`,
    `export AWS_ENDPOINT_URL_S3=${environment.CYGNET_S3_ENDPOINT}`,
    'unset AWS_CA_BUNDLE AWS_SESSION_TOKEN',
    '',
  ].join('\n')
}

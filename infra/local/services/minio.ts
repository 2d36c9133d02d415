/**
 * A private MinIO server: a real S3 store in place of the embedded one, which sends its notifications to our
 * webhook.
 *
 * MinIO no longer offers binaries of its community edition; the documented installation is `go install`. The
 * program is built once per user, into the cache folder.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { InvalidInputError, TransientError } from '../../../shared/errors.ts'
import { buildEnvironment, cacheFolder, goBinFolder } from '../environment.ts'
import { freePort, LOOPBACK } from '../ports.ts'
import { type Service, serviceFolder, startProcess } from '../process.ts'
import { findProgram } from '../programs.ts'
import { storedSecret } from '../secrets.ts'
import { createBuckets, type S3Access } from './buckets.ts'

/**
 * The release; then a version of the same branch for module proxies that do not have the tag of the release.
 */
const VERSIONS = ['RELEASE.2025-10-15T17-29-55Z', 'v0.0.0-20260212201848-7aac2a2c5b7c'] as const
const LONGEST_BUILD_MS = 30 * 60 * 1000
const REGION = 'us-east-1'

/** The name of our target in MinIO's configuration. */
const TARGET = 'CYGNET'
/** The ARN of our webhook, as the queue in a bucket's notification configuration. */
export const MINIO_TARGET_ARN = `arn:minio:sqs:${REGION}:${TARGET}:webhook`

/** The path of the MinIO program on this machine, or null. */
export async function findMinio(): Promise<string | null> {
  return findProgram('minio', { folders: [join(cacheFolder(), 'bin'), goBinFolder()] })
}

/**
 * The path of the MinIO program; builds it if it is missing (3 minutes on 2 cores, once).
 * @throws InvalidInputError when Go is missing.
 * @throws TransientError when the build fails, with the output of the compiler for each version.
 */
export async function ensureMinio(
  options: {
    readonly signal?: AbortSignal | undefined
    readonly onProgress?: ((line: string) => void) | undefined
  } = {},
): Promise<string> {
  const found = await findMinio()
  if (found !== null) return found
  const go = await findProgram('go')
  if (go === null)
    throw new InvalidInputError(
      'MinIO is not installed, and building it needs Go 1.24 or later: see https://go.dev/doc/install',
    )
  const folder = join(cacheFolder(), 'bin')
  mkdirSync(folder, { recursive: true })
  const failures: string[] = []
  for (const version of VERSIONS) {
    options.onProgress?.(`building MinIO ${version} with ${go} (a few minutes, once)`)
    const failure = await build({ go, version, folder, signal: options.signal })
    if (failure === null) return join(folder, 'minio')
    failures.push(failure)
    options.onProgress?.(`the build failed: ${failure.split('\n')[0]}`)
  }
  throw new TransientError(`MinIO could not be built:\n${failures.join('\n')}`)
}

/**
 * Builds one version; returns null, or the error. The program gets its name when it is complete.
 */
async function build(options: {
  readonly go: string
  readonly version: string
  readonly folder: string
  readonly signal: AbortSignal | undefined
}): Promise<string | null> {
  const { go, version, folder, signal } = options
  const partial = mkdtempSync(join(folder, 'build-'))
  const module = `github.com/minio/minio@${version}`
  try {
    const env = buildEnvironment({ GOBIN: partial })
    await promisify(execFile)(go, ['install', module], {
      env,
      cwd: partial,
      timeout: LONGEST_BUILD_MS,
      ...(signal && { signal }),
    })
    renameSync(join(partial, 'minio'), join(folder, 'minio'))
    return null
  } catch (error) {
    signal?.throwIfAborted()
    const { stderr = '', message } = error as { readonly stderr?: string; readonly message: string }
    const errorLines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('go: downloading'))
    return `go install ${module}: ${errorLines.slice(-6).join('\n') || message}`
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
}

export interface MinioOptions {
  /** The folder of all services, normally `.cygnet`; objects in it are used again. */
  readonly dataFolder: string
  readonly buckets?: readonly string[]
  /** The address to which MinIO posts events, and the token that it sends as `Authorization: Bearer <token>`. */
  readonly webhook?: { readonly endpoint: string; readonly token: string }
  /** Port on 127.0.0.1; default: a free one. */
  readonly port?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (line: string) => void
}

export interface Minio extends Service {
  readonly s3: S3Access
}

/**
 * Starts MinIO and creates the buckets. Events of a bucket are posted after its notifications are configured with
 * `MINIO_TARGET_ARN`; while the webhook does not answer, they wait in a folder (queue_dir), also across restarts.
 * @throws as `ensureMinio` and `startProcess`.
 */
export async function startMinio(options: MinioOptions): Promise<Minio> {
  const program = await ensureMinio(options)
  const dataFolder = resolve(options.dataFolder)
  const folder = serviceFolder(dataFolder, 'minio')
  const [port, consolePort] = [options.port ?? (await freePort()), await freePort()]
  const accessKeyId = storedSecret(join(folder, 'root-user'), 20)
  const secretAccessKey = storedSecret(join(folder, 'root-password'), 40)
  const s3 = { endpoint: `http://${LOOPBACK}:${port}`, region: REGION, accessKeyId, secretAccessKey }
  const service = await startProcess({
    name: 'minio',
    dataFolder,
    program,
    args: [
      'server',
      '--address',
      `${LOOPBACK}:${port}`,
      '--console-address',
      `${LOOPBACK}:${consolePort}`,
      '--certs-dir',
      join(folder, 'certs'),
      join(folder, 'data'),
    ],
    environment: {
      HOME: folder,
      MINIO_ROOT_USER: accessKeyId,
      MINIO_ROOT_PASSWORD: secretAccessKey,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
      MINIO_SITE_REGION: REGION,
      ...webhookSettings(folder, options.webhook),
    },
    // MinIO's documented readiness check (Healthcheck API).
    probe: async (signal) => (await fetch(`${s3.endpoint}/minio/health/ready`, { signal })).ok,
    signal: options.signal,
  })
  try {
    await createBuckets(s3, options.buckets ?? [], options.signal)
  } catch (error) {
    await service.stop()
    throw error
  }
  return { ...service, s3 }
}

function webhookSettings(folder: string, webhook: MinioOptions['webhook']): Readonly<Record<string, string>> {
  if (webhook === undefined) return {}
  const queue = join(folder, 'undelivered')
  mkdirSync(queue, { recursive: true, mode: 0o700 })
  return {
    [`MINIO_NOTIFY_WEBHOOK_ENABLE_${TARGET}`]: 'on',
    [`MINIO_NOTIFY_WEBHOOK_ENDPOINT_${TARGET}`]: webhook.endpoint,
    [`MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_${TARGET}`]: webhook.token,
    [`MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_${TARGET}`]: queue,
  }
}

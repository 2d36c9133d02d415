/** A store, a folder of files, and `cygnet push` as a separate process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { HeadObjectCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { createPushClient } from '../../../../cli/push/push.ts'
import type { PushContext, PushOptions } from '../../../../cli/push/push-file.ts'
import type { PushResult } from '../../../../cli/push/result.ts'
import { startTestStore } from '../../../../infra/local/testing.ts'
import { loadConfig, processEnvironment } from '../../../../shared/config/config.ts'
import { describeObject, readObject } from '../../../../shared/storage/objects.ts'

export const MIB = 1024 ** 2
const CYGNET = fileURLToPath(new URL('../../../../cli/cygnet', import.meta.url))

export const digest = (algorithm: string, bytes: Uint8Array) =>
  createHash(algorithm).update(bytes).digest('hex')

export const options: PushOptions = {
  partSizeBytes: 5 * MIB,
  concurrency: 2,
  overwrite: false,
  dryRun: false,
}

export interface Pushed {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** The lines of --json. */
  results(): readonly PushResult[]
}

export async function createFixture() {
  const store = await startTestStore()
  const folder = mkdtempSync(join(tmpdir(), 'cygnet-push-'))
  const environment = { ...store.environment, CYGNET_FOLDER: join(folder, 'stack') }
  const s3 = createPushClient(
    loadConfig({ CYGNET_DATABASE_URL: 'mysql://none@localhost/none', ...environment }),
  )
  const never = new AbortController().signal
  const context: PushContext = {
    s3,
    store: '127.0.0.1',
    stateFolder: join(environment.CYGNET_FOLDER, 'push'),
    signal: never,
  }

  /** Starts `cygnet push`, through another address of the store when one is given. */
  const start = (args: readonly string[], endpoint?: string) =>
    startPush(args, { ...environment, ...(endpoint === undefined ? {} : { CYGNET_S3_ENDPOINT: endpoint }) })
  return {
    store,
    bucket: store.bucket,
    folder,
    s3,
    context,
    start,
    push: (args: readonly string[], endpoint?: string) => start(args, endpoint).ended,
    /** A new file with random content. */
    file(name: string, sizeBytes: number) {
      const path = join(folder, name)
      const bytes = randomBytes(sizeBytes)
      writeFileSync(path, bytes)
      return { path, bytes }
    },
    async head(key: string) {
      return await s3.send(new HeadObjectCommand({ Bucket: store.bucket, Key: key }))
    },
    /** The object's bytes, or null when there is none. */
    async content(key: string): Promise<Buffer | null> {
      const version = await describeObject(s3, { bucket: store.bucket, key }, never)
      return version === null ? null : Buffer.concat(await Array.fromAsync(readObject(s3, version, never)))
    },
    async unfinished(key: string) {
      const { Uploads = [] } = await s3.send(
        new ListMultipartUploadsCommand({ Bucket: store.bucket, Prefix: key }),
      )
      return Uploads
    },
    close() {
      s3.destroy()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Starts `cygnet push` with these settings and no others. */
export function startPush(args: readonly string[], environment: Readonly<Record<string, string>>) {
  const inherited = Object.entries(processEnvironment()).filter(([name]) => !name.startsWith('CYGNET_'))
  const child = spawn(CYGNET, ['push', ...args], {
    env: { ...Object.fromEntries(inherited), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return { child, ended: endOf(child) }
}

async function endOf(child: ChildProcess): Promise<Pushed> {
  const output = Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
  ])
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  const [stdout, stderr] = await output
  const results = () =>
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as PushResult)
  return { code, signal, stdout, stderr, results }
}

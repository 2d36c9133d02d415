/**
 * A catalogue with a store, a tape and an API, and runs in a folder for `push --watch`.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { createChecksums } from '../../../../shared/extraction/checksums.ts'
import { serveHttp } from '../../../../shared/runtime/http.ts'
import { describeObject } from '../../../../shared/storage/objects.ts'
import { record } from '../../catalogue.ts'
import { metadataOf } from '../../metadata.ts'
import { bringToTape } from '../../on-tape.ts'
import { startTestTapeContext } from '../../tape-context.ts'
import { startPush } from '../push/fixture.ts'

export interface RunOnDisk {
  readonly path: string
  readonly runNumber: number
  readonly object: { readonly bucket: string; readonly key: string }
}

export const ONE_PASS = [
  '--tag',
  'LNGS',
  '--once',
  '--idle',
  '0',
  '--delete-when-safe',
  '--keep-newest',
  '0',
  '--part-size',
  '5MiB',
]

export async function startCatalogued() {
  const context = await startTestTapeContext()
  const folder = mkdtempSync(join(tmpdir(), 'cygnet-catalogued-'))
  const stop = new AbortController()
  const api = createHandler(context)
  /** Answers in place of the API unless it returns nothing. */
  const meddling = { answer: async (_request: Request): Promise<Response | null> => null }
  const requests: string[] = []
  const app = {
    async fetch(request: Request) {
      requests.push(`${request.method} ${new URL(request.url).pathname}`)
      return (await meddling.answer(request)) ?? (await api.fetch(request))
    },
  }
  const host = await serveHttp({
    app,
    log: context.log,
    signal: stop.signal,
    hostname: '127.0.0.1',
    idleSeconds: 0,
  })
  const { secret } = await createToken(
    context.database,
    { name: 'daq', machine: hostname(), scopes: ['push:LNGS'], days: 1 },
    new Date(),
  )
  const stack = join(folder, 'stack')
  const byApi = {
    CYGNET_API_URL: `http://127.0.0.1:${host.port}`,
    CYGNET_API_TOKEN: secret,
    CYGNET_FOLDER: stack,
  }
  const newFolder = () => mkdtempSync(join(folder, 'data-'))
  let lastRun = 700
  const catalogued = {
    context,
    api,
    byApi,
    meddling,
    asked: requests,
    newFolder,
    deletionLog: join(stack, 'watch', 'deletions.jsonl'),
    /** A file that was last written days ago. */
    runFile(into: string, sizeBytes = 300_000): RunOnDisk {
      const runNumber = ++lastRun
      const name = `run${String(runNumber).padStart(5, '0')}.mid.gz`
      const path = join(into, name)
      mkdirSync(into, { recursive: true })
      writeFileSync(path, randomBytes(sizeBytes))
      const at = Date.now() / 1000 - 300_000
      utimesSync(path, at, at)
      return { path, runNumber, object: { bucket: context.bucket, key: `LNGS/${name}` } }
    },
    start: (watched: string, environment: Readonly<Record<string, string>>, more: readonly string[] = []) =>
      startPush(['--watch', watched, ...ONE_PASS, ...more], environment),
    /** Catalogues an object and copies it to tape, as the functions do. */
    async process({ object, runNumber, path }: RunOnDisk): Promise<void> {
      const version = await describeObject(context.s3, object, stop.signal)
      if (version === null) throw new Error(`${object.key} is not in the store`)
      const bytes = readFileSync(path)
      const sums = createChecksums()
      sums.update(bytes)
      const { md5, adler32, sha256 } = await sums.digest()
      await record(
        context.database,
        version,
        metadataOf(runNumber, { sizeBytes: bytes.length, checksums: { md5, adler32, sha256 } }),
      )
      await bringToTape(context, { ...object, sha256 })
    },
    /** Runs in a new folder that are also in the store, catalogued and on tape. */
    async safeRuns(environment: Readonly<Record<string, string>>, count = 1, sizeBytes?: number) {
      const watched = newFolder()
      const runs = Array.from({ length: count }, () => catalogued.runFile(watched, sizeBytes))
      await catalogued.start(watched, environment).ended
      for (const run of runs) await catalogued.process(run)
      return { watched, runs }
    },
    async close() {
      stop.abort()
      await context.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return catalogued
}

/**
 * A copy from S3 to a real WebDAV endpoint (XRootD over TLS, with checksums), streamed through our driver, against
 * `curl | curl` and against downloading and then uploading, all of the same file in the same run; the driver's memory; and a copy that
 * the endpoint makes by itself.
 */
import { execFile, spawn } from 'node:child_process'
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { type Embedded, serviceEnvironment, startEmbedded } from '../infra/local/embedded.ts'
import { startXrootd, type Xrootd } from '../infra/local/xrootd.ts'
import { loadConfig } from '../shared/config.ts'
import { createChecksums } from '../shared/extraction/checksums.ts'
import { createS3Client } from '../shared/storage/client.ts'
import { presignGet, presignPut } from '../shared/storage/links.ts'
import type { TapeFile } from '../shared/tape/driver.ts'
import type { TapeCopyDone, TapeCopyJob } from './tape-copy.ts'

export interface TapeBench {
  readonly sizeBytes: number
  /** Medians, wall seconds. */
  readonly streamedSeconds: number
  readonly pipeSeconds: number
  /** With the endpoint's checksum asked for and compared, as ours. */
  readonly comparedPipeSeconds: number
  readonly downloadUploadSeconds: number
  readonly thirdParty: TapeCopyDone
  readonly memory: readonly { readonly sizeBytes: number; readonly peakRssBytes: number }[]
}

const MB = 1_000_000
const BUCKET = 'bench'
const ROUNDS = 5
const run = promisify(execFile)

export async function benchTape(tell: (line: string) => void, sizeBytes = 500 * MB, largestBytes = 2000 * MB): Promise<TapeBench> {
  const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))
  // The server has a user of its own.
  await run('chmod', ['755', folder])
  const embedded = await startEmbedded({ dataFolder: folder, buckets: [BUCKET], notifications: false })
  const xrootd = await startXrootd({ dataFolder: folder })
  try {
    const bench = await openBench(folder, embedded, xrootd)
    const files = [await bench.makeObject(sizeBytes), await bench.makeObject(largestBytes)] as const
    const times = { streamed: [] as number[], pipe: [] as number[], compared: [] as number[], downloadUpload: [] as number[] }
    await bench.pipe(files[0])
    for (let round = 0; round < ROUNDS; round++) {
      tell(`round ${round + 1} of ${ROUNDS}: streamed, curl | curl, download then upload`)
      times.streamed.push((await bench.copy(files[0], 'never')).seconds)
      const pipe = await bench.pipe(files[0])
      times.pipe.push(pipe.seconds)
      times.compared.push(pipe.comparedSeconds)
      times.downloadUpload.push(await bench.downloadUpload(files[0]))
    }
    tell('third-party copy, and memory')
    const thirdParty = await bench.copy(files[0], 'auto')
    const memory = []
    for (const file of files) memory.push({ sizeBytes: file.sizeBytes, peakRssBytes: (await bench.copy(file, 'never')).peakRssBytes })
    return {
      sizeBytes,
      streamedSeconds: median(times.streamed),
      pipeSeconds: median(times.pipe),
      comparedPipeSeconds: median(times.compared),
      downloadUploadSeconds: median(times.downloadUpload),
      thirdParty,
      memory,
    }
  } finally {
    await xrootd.stop()
    await embedded.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

async function openBench(folder: string, embedded: Embedded, xrootd: Xrootd) {
  const environment = { CYGNET_DATABASE_URL: 'mysql://none@localhost/none', ...serviceEnvironment(embedded.connection) }
  const s3 = createS3Client(loadConfig(environment))
  const program = await bundleCopy(folder)
  const token = xrootd.token()
  // On no command line: everybody on the machine sees those.
  const authorization = join(folder, 'authorization')
  await writeFile(authorization, `Authorization: Bearer ${token}\nExpect:\n`, { mode: 0o600 })
  const root = xrootd.url.replace(/^davs:/, 'https:')
  let copies = 0
  /** A name of its own for every copy, and room made again afterwards. */
  const named = async <T>(file: TapeFile, work: (copy: TapeFile) => Promise<T>): Promise<T> => {
    const name = `${BUCKET}/copy${copies++}/${file.name.split('/').at(-1)}`
    const done = await work({ ...file, name })
    await run('curl', ['-sSf', '-X', 'DELETE', '--cacert', xrootd.caFile, '-H', `@${authorization}`, `${root}${name}`])
    return done
  }
  const objectOf = (file: TapeFile) => ({ bucket: BUCKET, key: file.name.slice(BUCKET.length + 1) })
  const link = async (file: TapeFile) => (await presignGet(s3, objectOf(file), { seconds: 3600, now: new Date() })).url
  const upload = (from: string, file: TapeFile) =>
    `curl -sSf --cacert '${xrootd.caFile}' -H '@${authorization}' -H 'Content-Length: ${file.sizeBytes}' -H 'Transfer-Encoding:' -T ${from} '${root}${file.name}' >/dev/null`
  const timed = async (command: string) => {
    const began = performance.now()
    await run('bash', ['-c', `set -o pipefail; ${command}`])
    return (performance.now() - began) / 1000
  }
  return {
    async makeObject(sizeBytes: number): Promise<TapeFile> {
      const path = join(folder, 'object')
      const file = await writeNoise(path, sizeBytes)
      const { url } = await presignPut(s3, objectOf(file), { seconds: 3600, now: new Date() })
      await run('curl', ['-sSf', '-H', 'Expect:', '-T', path, url])
      await rm(path)
      return file
    },
    copy: (file: TapeFile, thirdParty: 'auto' | 'never') =>
      named(file, (copy) =>
        copyInProcess(program, {
          environment,
          object: objectOf(file),
          file: copy,
          rootUrl: xrootd.url,
          caFile: xrootd.caFile,
          token,
          thirdParty,
        }),
      ),
    /** With the question for the checksum that our copy ends with; without it curl proves nothing. */
    pipe: (file: TapeFile) =>
      named(file, async (copy) => {
        const ask = `curl -sSf -I --cacert '${xrootd.caFile}' -H '@${authorization}' -H 'Want-Digest: adler32' '${root}${copy.name}' | grep -i '^digest:.*${file.adler32}' >/dev/null`
        const from = await link(file)
        const seconds = await timed(`curl -sSf '${from}' | ${upload('-', copy)}`)
        return { seconds, comparedSeconds: seconds + (await timed(ask)) }
      }),
    downloadUpload: (file: TapeFile) =>
      named(file, async (copy) => {
        const path = join(folder, 'downloaded')
        const seconds = await timed(`curl -sSf -o '${path}' '${await link(file)}' && ${upload(`'${path}'`, copy)}`)
        await rm(path)
        return seconds
      }),
  }
}

/** Incompressible bytes, as a compressed run is. */
async function writeNoise(path: string, sizeBytes: number): Promise<TapeFile> {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), createHash('md5').digest())
  const zeros = Buffer.alloc(MB)
  const checksums = createChecksums()
  const out = createWriteStream(path)
  for (let written = 0; written < sizeBytes; written += MB) {
    const chunk = cipher.update(zeros)
    checksums.update(chunk)
    if (!out.write(chunk)) await once(out, 'drain')
  }
  out.end()
  await finished(out)
  const { md5, sha256, adler32 } = await checksums.digest()
  return { name: `${BUCKET}/LNGS/run${Math.round(sizeBytes / MB)}.mid.gz`, sizeBytes, md5, sha256, adler32, tag: 'LNGS', runNumber: 1 }
}

const COPY = fileURLToPath(new URL('./tape-copy.ts', import.meta.url))

/** As functions are deployed: in one file. */
async function bundleCopy(folder: string): Promise<string> {
  const outfile = join(folder, 'tape-copy.cjs')
  const mainFields = ['module', 'main']
  await build({ entryPoints: [COPY], outfile, bundle: true, minify: true, platform: 'node', format: 'cjs', target: 'node24', mainFields })
  return outfile
}

async function copyInProcess(program: string, job: TapeCopyJob): Promise<TapeCopyDone> {
  const child = spawn(process.execPath, ['--max-semi-space-size=1', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify(job))
  const [output, code] = await Promise.all([text(child.stdout), new Promise((resolve) => child.once('close', resolve))])
  if (code !== 0) throw new Error('the copy failed')
  return JSON.parse(output) as TapeCopyDone
}

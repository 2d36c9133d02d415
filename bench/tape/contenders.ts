/**
 * Three ways to copy a file from S3 to a WebDAV endpoint: streamed by our driver, `curl | curl`, and a
 * download followed by an upload.
 */
import { execFile, spawn } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { type Embedded, serviceEnvironment } from '../../infra/local/services/embedded/embedded.ts'
import type { Xrootd } from '../../infra/local/services/xrootd/xrootd.ts'
import { loadConfig } from '../../shared/config/config.ts'
import { createS3Client } from '../../shared/storage/client.ts'
import { presignGet } from '../../shared/storage/links.ts'
import type { TapeFile } from '../../shared/tape/driver.ts'
import type { TapeCopyDone, TapeCopyJob } from '../tape-copy.ts'
import type { Ends, Links } from './links.ts'
import { createMeter, type Meter, type Timed } from './measure.ts'

export const BUCKET = 'bench'

/** Each copies the file to a name of its own at the endpoint, and removes it afterwards. */
export interface Contenders {
  streamed(file: TapeFile, thirdParty?: 'auto' | 'never'): Promise<TapeCopyDone & Timed>
  /** With a query of the endpoint's checksum, as at the end of our copy; without it curl verifies nothing. */
  pipe(file: TapeFile): Promise<{ readonly copy: Timed; readonly compared: Timed }>
  downloadUpload(file: TapeFile): Promise<{ readonly download: Timed; readonly upload: Timed }>
}

export interface Bench {
  readonly folder: string
  readonly embedded: Embedded
  readonly xrootd: Xrootd
  /** Our copy, as `bundleCopy` wrote it. */
  readonly program: string
}

const run = promisify(execFile)
const bash = (command: string) => run('bash', ['-c', `set -o pipefail; ${command}`])

export const endsOf = ({ embedded, xrootd }: Bench): Ends => ({
  storeUrl: embedded.connection.s3.endpoint,
  tapeUrl: xrootd.url,
})
export const objectOf = (file: TapeFile) => ({ bucket: BUCKET, key: file.name.slice(BUCKET.length + 1) })

/** The environment of a store at this address, which is part of everything that is signed. */
export function openStore({ embedded }: Bench, storeUrl: string) {
  const { connection } = embedded
  const s3 = { ...connection.s3, endpoint: storeUrl }
  const environment = {
    CYGNET_DATABASE_URL: 'mysql://none@localhost/none',
    ...serviceEnvironment({ ...connection, s3 }),
  }
  return { environment, s3: createS3Client(loadConfig(environment)) }
}

/** @param links in front of the servers, through which they are then reached. */
export async function openContenders(bench: Bench, links?: Links): Promise<Contenders> {
  const { folder, embedded, xrootd } = bench
  const ends = links?.ends ?? endsOf(bench)
  const timed = createMeter([embedded.pid, xrootd.pid, ...(links?.pids ?? [])])
  const { environment, s3 } = openStore(bench, ends.storeUrl)
  const token = xrootd.token()
  // Not on a command line, which all users of the machine can read.
  const authorization = join(folder, 'authorization')
  await writeFile(authorization, `Authorization: Bearer ${token}\nExpect:\n`, { mode: 0o600 })
  const root = ends.tapeUrl.replace(/^davs:/, 'https:')
  const curl = `curl -sSf --cacert '${xrootd.caFile}' -H '@${authorization}'`
  let copies = 0
  /** A separate name for every copy, removed afterwards to free the space. */
  const named = async <T>(file: TapeFile, work: (copy: TapeFile) => Promise<T>): Promise<T> => {
    const name = `${BUCKET}/copy${copies++}/${file.name.split('/').at(-1)}`
    const done = await work({ ...file, name })
    await bash(`${curl} -X DELETE '${root}${name}'`)
    return done
  }
  const presigned = async (file: TapeFile) =>
    (await presignGet(s3, objectOf(file), { seconds: 3600, now: new Date() })).url
  const upload = (from: string, file: TapeFile) =>
    `${curl} -H 'Content-Length: ${file.sizeBytes}' -H 'Transfer-Encoding:' -T ${from} '${root}${file.name}' >/dev/null`
  return {
    streamed: (file, thirdParty = 'never') =>
      named(file, async (copy) => {
        const ways = { rootUrl: ends.tapeUrl, caFile: xrootd.caFile, token, thirdParty }
        const job = { environment, object: objectOf(file), file: copy, ...ways }
        return await copyInProcess(bench.program, job, timed)
      }),
    pipe: (file) =>
      named(file, async (copy) => {
        const from = await presigned(file)
        const ask = `${curl} -I -H 'Want-Digest: adler32' '${root}${copy.name}' | grep -i '^digest:.*${file.adler32}' >/dev/null`
        return {
          copy: await timed(() => bash(`curl -sSf '${from}' | ${upload('-', copy)}`)),
          compared: await timed(() => bash(ask)),
        }
      }),
    downloadUpload: (file) =>
      named(file, async (copy) => {
        const path = join(folder, 'downloaded')
        const from = await presigned(file)
        const download = await timed(() => bash(`curl -sSf -o '${path}' '${from}'`))
        const done = { download, upload: await timed(() => bash(upload(`'${path}'`, copy))) }
        await rm(path)
        return done
      }),
  }
}

const COPY = fileURLToPath(new URL('../tape-copy.ts', import.meta.url))

/** In one file, as functions are deployed. */
export async function bundleCopy(folder: string): Promise<string> {
  const outfile = join(folder, 'tape-copy.cjs')
  const mainFields = ['module', 'main']
  await build({
    entryPoints: [COPY],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    mainFields,
  })
  return outfile
}

/**
 * The seconds are those of the copy alone, as in a running function; the CPU time includes the start of the
 * process.
 */
async function copyInProcess(program: string, job: TapeCopyJob, timed: Meter): Promise<TapeCopyDone & Timed> {
  const child = spawn(process.execPath, ['--max-semi-space-size=1', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let output = ''
  const { coreSeconds } = await timed(async () => {
    child.stdin.end(JSON.stringify(job))
    const [printed, code] = await Promise.all([
      text(child.stdout),
      new Promise((resolve) => child.once('close', resolve)),
    ])
    if (code !== 0) throw new Error('the copy failed')
    output = printed
  })
  return { ...(JSON.parse(output) as TapeCopyDone), coreSeconds }
}

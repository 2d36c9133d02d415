/**
 * A copy from S3 to a real WebDAV endpoint (XRootD over TLS, with checksums), streamed through our driver,
 * compared with `curl | curl` and with a download followed by an upload, of the same file in the same run: once
 * directly, with both ends sharing this machine, and once with each end behind a link of limited rate, as in
 * production. Also the driver's memory, and a third-party copy.
 */
import { execFile } from 'node:child_process'
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { promisify } from 'node:util'
import { startEmbedded } from '../infra/local/services/embedded/embedded.ts'
import { startXrootd } from '../infra/local/services/xrootd/xrootd.ts'
import { createChecksums } from '../shared/extraction/checksums.ts'
import { presignPut } from '../shared/storage/links.ts'
import type { TapeFile } from '../shared/tape/driver.ts'
import {
  type Bench,
  BUCKET,
  bundleCopy,
  type Contenders,
  endsOf,
  objectOf,
  openContenders,
  openStore,
} from './tape/contenders.ts'
import { openLinks } from './tape/links.ts'
import { both, medians, type Timed } from './tape/measure.ts'
import type { TapeCopyDone } from './tape-copy.ts'

/** Medians. */
export interface CopyTimes {
  readonly sizeBytes: number
  readonly streamed: Timed
  readonly pipe: Timed
  /** Followed by a comparison of the endpoint's checksum, as in our driver. */
  readonly comparedPipe: Timed
  readonly download: Timed
  readonly upload: Timed
  /** Download, then upload. */
  readonly twoSteps: Timed
}

export interface TapeBench {
  readonly unlimited: CopyTimes
  readonly limited: CopyTimes & { readonly bytesPerSecond: number }
  readonly thirdParty: TapeCopyDone
  readonly memory: readonly { readonly sizeBytes: number; readonly peakRssBytes: number }[]
}

const MB = 1_000_000
/**
 * Slow enough that the processors of a small machine wait for the links, fast enough for a short benchmark.
 */
const LINK_BYTES_PER_SECOND = 40 * MB
const SIZES = { unlimited: 500 * MB, limited: 300 * MB, largest: 2000 * MB }
const ROUNDS = { unlimited: 5, limited: 3 }
const run = promisify(execFile)

type Log = (line: string) => void

export async function benchTape(log: Log, sizes = SIZES): Promise<TapeBench> {
  const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))
  // The server runs as a user of its own.
  await run('chmod', ['755', folder])
  const embedded = await startEmbedded({ dataFolder: folder, buckets: [BUCKET], notifications: false })
  const xrootd = await startXrootd({ dataFolder: folder })
  try {
    const bench = { folder, embedded, xrootd, program: await bundleCopy(folder) }
    const contenders = await openContenders(bench)
    const file = await makeObject(bench, sizes.unlimited)
    const [smaller, largest] = [
      await makeObject(bench, sizes.limited),
      await makeObject(bench, sizes.largest),
    ]
    await contenders.pipe(file)
    const unlimited = await inTurn(contenders, file, ROUNDS.unlimited, log)
    log('each end behind a link of limited rate')
    const limited = await behindLinks(bench, smaller, log)
    log('third-party copy, and memory')
    const thirdParty = await contenders.streamed(file, 'auto')
    const memory = []
    for (const copied of [file, largest])
      memory.push({
        sizeBytes: copied.sizeBytes,
        peakRssBytes: (await contenders.streamed(copied)).peakRssBytes,
      })
    return { unlimited, limited, thirdParty, memory }
  } finally {
    await xrootd.stop()
    await embedded.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function behindLinks(bench: Bench, file: TapeFile, log: Log): Promise<TapeBench['limited']> {
  const links = await openLinks(endsOf(bench), LINK_BYTES_PER_SECOND)
  try {
    const { streamed, pipe, downloadUpload } = await openContenders(bench, links)
    const contenders: Contenders = {
      streamed: (copied) => links.carry(copied.sizeBytes, () => streamed(copied)),
      pipe: (copied) => links.carry(copied.sizeBytes, () => pipe(copied)),
      downloadUpload: (copied) => links.carry(copied.sizeBytes, () => downloadUpload(copied)),
    }
    return {
      ...(await inTurn(contenders, file, ROUNDS.limited, log)),
      bytesPerSecond: LINK_BYTES_PER_SECOND,
    }
  } finally {
    await links.close()
  }
}

async function inTurn(contenders: Contenders, file: TapeFile, rounds: number, log: Log): Promise<CopyTimes> {
  const taken = []
  for (let round = 0; round < rounds; round++) {
    log(`round ${round + 1} of ${rounds}: streamed, curl | curl, download then upload`)
    const streamed = await contenders.streamed(file)
    const { copy, compared } = await contenders.pipe(file)
    const { download, upload } = await contenders.downloadUpload(file)
    taken.push({
      streamed,
      pipe: copy,
      comparedPipe: both(copy, compared),
      download,
      upload,
      twoSteps: both(download, upload),
    })
  }
  return { sizeBytes: file.sizeBytes, ...medians(taken) }
}

async function makeObject(bench: Bench, sizeBytes: number): Promise<TapeFile> {
  const { s3 } = openStore(bench, endsOf(bench).storeUrl)
  const path = join(bench.folder, 'object')
  const file = await writeNoise(path, sizeBytes)
  const { url } = await presignPut(s3, objectOf(file), { seconds: 3600, now: new Date() })
  await run('curl', ['-sSf', '-H', 'Expect:', '-T', path, url])
  await rm(path)
  return file
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
  return {
    name: `${BUCKET}/LNGS/run${Math.round(sizeBytes / MB)}.mid.gz`,
    sizeBytes,
    md5,
    sha256,
    adler32,
    tag: 'LNGS',
    runNumber: 1,
  }
}

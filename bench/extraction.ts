/**
 * Extraction of a gzip run against `zcat >/dev/null` on the same file in the same run, with and without
 * igzip, and the peak memory of the extracting process at several sizes.
 *
 *   node bench/extraction.ts
 */

import { spawn, spawnSync } from 'node:child_process'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, crc32, deflateRawSync } from 'node:zlib'
import { simulateRun } from '../cli/simulate/run.ts'
import { TransientError } from '../shared/errors.ts'
import { extractFile } from '../shared/extraction/extract-file.ts'
import { DEFAULT_MAX_EVENT_BYTES } from '../shared/midas/reader.ts'
import { median } from './median.ts'

type Igzip = 'auto' | 'never'

export interface ExtractionTimes {
  readonly sizeBytes: number
  readonly uncompressedBytes: number
  /** Medians, wall seconds, each process from its start to its end. */
  readonly zcatSeconds: number
  readonly zlibSeconds: number
  /** Null where igzip is not installed. */
  readonly igzipSeconds: number | null
  /** The igzip program alone, with its output discarded: the lower limit. */
  readonly igzipAloneSeconds: number | null
  readonly zlibRatio: number
  readonly igzipRatio: number | null
}

export interface ExtractionMemory {
  readonly sizeBytes: number
  readonly igzip: Igzip
  readonly peakRssBytes: number
}

export interface ExtractionBench {
  readonly times: ExtractionTimes
  readonly memory: readonly ExtractionMemory[]
}

const MB = 1_000_000
const ROUNDS = 3
const EVENTS_IN_PIECE = 5

/** Runs the whole benchmark in a temporary folder of about 2.5 GB. */
export async function benchExtraction(
  log: (line: string) => void,
  sizesBytes = [50 * MB, 450 * MB, 2000 * MB],
): Promise<ExtractionBench> {
  const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))
  try {
    log('compressing a piece of a run at level 6, as the experiment does')
    const run = await piecesOfRun()
    const memory: ExtractionMemory[] = []
    let times: ExtractionTimes | null = null
    for (const sizeBytes of sizesBytes) {
      const path = join(folder, 'run00001.mid.gz')
      await writeRun(path, run, sizeBytes)
      if (sizeBytes === 450 * MB || (times === null && sizeBytes === sizesBytes.at(-1)))
        times = await measureTimes(path, log)
      for (const igzip of ['never', 'auto'] as const) {
        const { peakRssBytes } = await extractInChild(path, igzip)
        memory.push({ sizeBytes, igzip, peakRssBytes })
        log(`${sizeBytes / MB} MB, igzip ${igzip}: peak RSS ${Math.round(peakRssBytes / MB)} MB`)
      }
    }
    if (times === null) throw new TransientError('no size to measure was given')
    return { times, memory }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface Piece {
  readonly plain: Uint8Array
  readonly deflated: Uint8Array
}

interface Pieces {
  readonly begin: Piece
  readonly events: Piece
  readonly end: Piece
}

/** A short simulated run in three pieces; the middle one can be repeated, since it has no back-references. */
async function piecesOfRun(): Promise<Pieces> {
  const chunks: Uint8Array[] = []
  for await (const chunk of simulateRun({ runNumber: 1, events: EVENTS_IN_PIECE })) chunks.push(chunk)
  const piece = (parts: readonly Uint8Array[], finishFlush: number): Piece => {
    const plain = new Uint8Array(Buffer.concat(parts))
    return { plain, deflated: new Uint8Array(deflateRawSync(plain, { level: 6, finishFlush })) }
  }
  return {
    begin: piece(chunks.slice(0, 1), constants.Z_FULL_FLUSH),
    events: piece(chunks.slice(1, -1), constants.Z_FULL_FLUSH),
    end: piece(chunks.slice(-1), constants.Z_FINISH),
  }
}

/** Writes a gzip file of one member and about `sizeBytes`. */
async function writeRun(path: string, { begin, events, end }: Pieces, sizeBytes: number): Promise<void> {
  const repeats = Math.max(1, Math.round(sizeBytes / events.deflated.length))
  const parts = [begin, ...Array.from({ length: repeats }, () => events), end]
  const trailer = new DataView(new ArrayBuffer(8))
  const checksum = parts.reduce((crc, { plain }) => crc32(plain, crc), 0)
  const length = parts.reduce((sum, { plain }) => sum + plain.length, 0)
  trailer.setUint32(0, checksum, true)
  trailer.setUint32(4, length % 2 ** 32, true)
  const header = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3)
  const bytes = [header, ...parts.map(({ deflated }) => deflated), new Uint8Array(trailer.buffer)]
  await pipeline(Readable.from(bytes), createWriteStream(path))
}

/** Seconds of a program that reads the file and discards its output. */
async function timeProgram(command: string, args: readonly string[]): Promise<number> {
  const before = performance.now()
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new TransientError(`${command} ended with ${code}`)),
    )
  })
  return (performance.now() - before) / 1000
}

interface ChildResult {
  readonly seconds: number
  readonly peakRssBytes: number
  readonly uncompressedBytes: number
}

/** Extraction in a process of its own. */
async function extractInChild(path: string, igzip: Igzip): Promise<ChildResult> {
  const before = performance.now()
  const child = spawn(process.execPath, [import.meta.filename, '--child', path, igzip], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (text) => {
    output += text
  })
  await new Promise((resolve) => child.once('close', resolve))
  const seconds = (performance.now() - before) / 1000
  return { ...(JSON.parse(output) as Omit<ChildResult, 'seconds'>), seconds }
}

async function child(path: string, igzip: Igzip): Promise<void> {
  const open = (signal: AbortSignal) => createReadStream(path, { highWaterMark: 512 * 1024, signal })
  const signal = new AbortController().signal
  const metadata = await extractFile(
    { fileName: basename(path), open },
    { igzip, maxEventBytes: DEFAULT_MAX_EVENT_BYTES, signal },
  )
  if (!metadata.complete || metadata.warnings.length > 0)
    throw new TransientError(`not a sound run: ${metadata.problem?.message ?? 'warnings'}`)
  const peakRssBytes = process.resourceUsage().maxRSS * 1024
  console.log(JSON.stringify({ peakRssBytes, uncompressedBytes: metadata.uncompressedBytes }))
}

async function measureTimes(path: string, log: (line: string) => void): Promise<ExtractionTimes> {
  const hasIgzip = spawnSync('igzip', ['--version'], { stdio: 'ignore' }).error === undefined
  const zcat: number[] = []
  const zlib: ChildResult[] = []
  const igzip: ChildResult[] = []
  const alone: number[] = []
  // In turns: other load on the machine affects all of them.
  for (let round = 0; round < ROUNDS; round += 1) {
    zcat.push(await timeProgram('zcat', [path]))
    zlib.push(await extractInChild(path, 'never'))
    if (!hasIgzip) continue
    alone.push(await timeProgram('igzip', ['-dc', path]))
    igzip.push(await extractInChild(path, 'auto'))
  }
  const zcatSeconds = median(zcat)
  const zlibSeconds = median(zlib.map(({ seconds }) => seconds))
  const igzipSeconds = hasIgzip ? median(igzip.map(({ seconds }) => seconds)) : null
  const times = {
    sizeBytes: (await stat(path)).size,
    uncompressedBytes: zlib[0]?.uncompressedBytes ?? 0,
    zcatSeconds,
    zlibSeconds,
    igzipSeconds,
    igzipAloneSeconds: hasIgzip ? median(alone) : null,
    zlibRatio: zlibSeconds / zcatSeconds,
    igzipRatio: igzipSeconds === null ? null : igzipSeconds / zcatSeconds,
  }
  log(
    `zcat ${zcatSeconds.toFixed(2)} s; extraction with zlib ${zlibSeconds.toFixed(2)} s = ${times.zlibRatio.toFixed(2)} × zcat`,
  )
  if (igzipSeconds !== null)
    log(
      `igzip alone ${times.igzipAloneSeconds?.toFixed(2)} s; extraction with igzip ${igzipSeconds.toFixed(2)} s = ${times.igzipRatio?.toFixed(2)} × zcat`,
    )
  return times
}

if (import.meta.main) {
  const [flag, path, igzip] = process.argv.slice(2)
  if (flag === '--child' && path !== undefined) await child(path, igzip === 'never' ? 'never' : 'auto')
  else console.log(JSON.stringify(await benchExtraction((line) => console.error(line)), null, 2))
}

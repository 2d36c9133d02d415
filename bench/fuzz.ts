/**
 * Mutation fuzzing of extraction: small valid files in every compression and bank format are damaged at
 * random. Each must end as a result or an InvalidInputError, quickly, with constant memory, and the result
 * must be consistent.
 *
 *   node bench/fuzz.ts --count 100000 --seed 1
 *
 * The same seed produces the same files. A failure prints the file's number; `--first N --count 1` repeats it
 * alone.
 */
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { InvalidInputError } from '../shared/errors.ts'
import { extractFile } from '../shared/extraction/extract-file.ts'
import type { FileMetadata } from '../shared/extraction/metadata.ts'
import { bzip2 } from '../test/support/bzip2-encode.ts'
import { lz4 } from '../test/support/lz4-encode.ts'
import { fileOf, smallRun } from '../test/support/midas-run.ts'

export interface FuzzResult {
  readonly files: number
  readonly seconds: number
  /** Outcome (complete, a problem's code, invalid) → files. */
  readonly outcomes: Readonly<Record<string, number>>
  readonly slowestMs: number
  readonly peakRssBytes: number
  /** Sentences; empty when there are no failures. */
  readonly failures: readonly string[]
}

export interface FuzzOptions {
  readonly count: number
  readonly seed: number
  /** Number of the first file. */
  readonly first?: number
  readonly onProgress?: (done: number) => void
}

/**
 * No file here has more than 20 kB; a second would be a hang. Generous, since the machine may have other
 * load.
 */
const HANG_MS = 5000
/**
 * Limit for the process. Extraction itself needs a few megabytes for such files; the garbage collector adds
 * more.
 */
const MAX_RSS_BYTES = 512 * 1024 * 1024

type Random = (below: number) => number

/** splitmix32: each file has its own sequence, so that any can be repeated alone. */
function randomOf(seed: number, file: number): Random {
  let state = (Math.imul(seed, 0x9e3779b9) ^ Math.imul(file + 1, 0x85ebca6b)) >>> 0
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return Math.floor((((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32) * below)
  }
}

const HOSTILE_NUMBERS = [
  0, 1, 7, 8, 0x7f, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff,
]

const mutations: readonly ((bytes: Uint8Array, random: Random) => Uint8Array)[] = [
  // A flipped bit.
  (bytes, random) => changed(bytes, (copy) => flip(copy, random(copy.length), 1 << random(8))),
  // A few bytes overwritten.
  (bytes, random) =>
    changed(bytes, (copy) => copy.fill(random(256), random(copy.length), random(copy.length) + random(8))),
  // A cut at the end, and one at the start.
  (bytes, random) => bytes.slice(0, random(bytes.length)),
  (bytes, random) => bytes.slice(random(Math.min(64, bytes.length))),
  // A piece lost, one doubled, one moved.
  (bytes, random) => splice(bytes, random(bytes.length), random(200), 0),
  (bytes, random) => splice(bytes, random(bytes.length), 0, random(200)),
  (bytes, random) => splice(bytes, random(bytes.length), random(200), random(200)),
  // A 32-bit or 16-bit number replaced by a hostile one: sizes, offsets, lengths.
  (bytes, random) =>
    changed(bytes, (copy) => {
      if (copy.length < 4) return
      const value = HOSTILE_NUMBERS[random(HOSTILE_NUMBERS.length)] ?? 0
      const view = new DataView(copy.buffer)
      if (random(2) === 0) view.setUint32(random(copy.length - 3), value, true)
      else view.setUint16(random(copy.length - 1), value & 0xffff, true)
    }),
  // Garbage and zeros after the end.
  (bytes, random) =>
    Buffer.concat([bytes, Buffer.from(Array.from({ length: random(100) }, () => random(256)))]),
  (bytes, random) => Buffer.concat([bytes, Buffer.alloc(random(3000))]),
  // The whole file twice.
  (bytes) => Buffer.concat([bytes, bytes]),
]

function flip(bytes: Uint8Array, at: number, mask: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ mask
}

function changed(bytes: Uint8Array, change: (copy: Uint8Array) => unknown): Uint8Array {
  const copy = new Uint8Array(bytes)
  if (copy.length > 0) change(copy)
  return copy
}

function splice(bytes: Uint8Array, at: number, removed: number, repeated: number): Uint8Array {
  return Buffer.concat([
    bytes.subarray(0, at),
    bytes.subarray(Math.max(0, at - repeated), at),
    bytes.subarray(at + removed),
  ])
}

interface Seed {
  readonly name: string
  readonly plain: Uint8Array
  readonly pack: (plain: Uint8Array) => Uint8Array
}

/** Every bank format in every compression; damage is applied inside (the compression is valid) or outside. */
function seeds(): readonly Seed[] {
  const packers: readonly (readonly [string, (plain: Uint8Array) => Uint8Array])[] = [
    ['', (plain) => plain],
    ['.gz', (plain) => gzipSync(plain, { level: 1 })],
    ['.lz4', (plain) => lz4(plain, { blockBytes: 1000 })],
    [
      '.lz4',
      (plain) => lz4(plain, { linked: false, blockChecksums: true, contentSize: true, blockBytes: 2000 }),
    ],
    ['.bz2', (plain) => bzip2(plain, 900)],
  ]
  const formats = ['bank16', 'bank32', 'bank32a'] as const
  return formats.flatMap((format) =>
    packers.map(([ending, pack]) => ({ name: `run12345.mid${ending}`, plain: smallRun(2, format), pack })),
  )
}

/** Damages one file after the other and checks how each ends. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const outcomes: Record<string, number> = {}
  const failures: string[] = []
  const all = seeds().map((seed) => ({ ...seed, packed: seed.pack(seed.plain) }))
  const started = performance.now()
  let slowestMs = 0
  let peakRssBytes = 0
  const first = options.first ?? 0
  for (let file = first; file < first + options.count && failures.length < 20; file += 1) {
    const random = randomOf(options.seed, file)
    const seed = all[random(all.length)]
    if (seed === undefined) break
    // bzip2 is slow to write: it is damaged only from outside, and rarely from inside.
    const inside = seed.name.endsWith('.mid') || random(seed.name.endsWith('.bz2') ? 8 : 2) === 0
    let bytes = inside ? seed.plain : seed.packed
    for (let left = 1 + random(3); left > 0; left -= 1)
      bytes = mutations[random(mutations.length)]?.(bytes, random) ?? bytes
    if (inside) bytes = seed.pack(new Uint8Array(bytes))
    const before = performance.now()
    const { outcome, failure } = await tryFile(seed.name, new Uint8Array(bytes), 1 + random(4000))
    const ms = performance.now() - before
    slowestMs = Math.max(slowestMs, ms)
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    if (failure !== null) failures.push(`file ${file} (${seed.name}, ${bytes.length} bytes): ${failure}`)
    if (ms > HANG_MS) failures.push(`file ${file} took ${Math.round(ms)} ms`)
    if (file % 500 === 0) {
      peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss())
      options.onProgress?.(file - first)
    }
  }
  peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss())
  return {
    files: options.count,
    seconds: (performance.now() - started) / 1000,
    outcomes,
    slowestMs,
    peakRssBytes,
    failures,
  }
}

async function tryFile(
  name: string,
  bytes: Uint8Array,
  pieceBytes: number,
): Promise<{ outcome: string; failure: string | null }> {
  const signal = AbortSignal.timeout(HANG_MS)
  try {
    const programs = { gzip: null, bzip2: null, minimumBytes: 0 }
    const metadata = await extractFile(fileOf(name, bytes, pieceBytes), {
      igzip: 'never',
      maxEventBytes: 1 << 28,
      signal,
      programs,
    })
    return { outcome: metadata.problem?.code ?? 'complete', failure: contradiction(metadata, bytes) }
  } catch (error) {
    if (error instanceof InvalidInputError && error.message.length > 10)
      return { outcome: 'invalid', failure: null }
    return {
      outcome: 'error',
      failure: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }
  }
}

/** A contradiction within a result or with the bytes; null when there is none. */
function contradiction(metadata: FileMetadata, bytes: Uint8Array): string | null {
  const sum = Object.values(metadata.eventsById).reduce((total, count) => total + count, 0)
  if (sum !== metadata.eventCount) return `${metadata.eventCount} events, but by id ${sum}`
  if (metadata.complete !== (metadata.problem === null))
    return 'complete with a problem, or incomplete without one'
  if (metadata.sizeBytes !== bytes.length) return `size ${metadata.sizeBytes} of ${bytes.length}`
  if (metadata.checksums.md5 !== createHash('md5').update(bytes).digest('hex')) return 'md5 is wrong'
  if (metadata.checksums.sha256 !== createHash('sha256').update(bytes).digest('hex')) return 'sha256 is wrong'
  if (metadata.complete && metadata.internalEvents['0x8001'] === undefined)
    return 'complete without an end-of-run event'
  if ((metadata.firstEventTime === null) !== (metadata.eventCount === 0))
    return 'times without events, or events without times'
  const bankBytes = Object.values(metadata.banks).reduce((total, bank) => total + bank.bytes, 0)
  if (bankBytes > metadata.uncompressedBytes)
    return `banks of ${bankBytes} bytes in ${metadata.uncompressedBytes}`
  const offset = metadata.problem?.offset ?? 0
  if (offset > Math.max(metadata.uncompressedBytes, metadata.sizeBytes))
    return `a problem at byte ${offset}, behind the end`
  if (
    [metadata.problem, ...metadata.warnings].some(
      (finding) => finding !== null && finding.message.length > 2000,
    )
  )
    return 'a message without end'
  return metadata.warnings.length > 50 ? `${metadata.warnings.length} warnings` : null
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '100000' },
      seed: { type: 'string', default: '1' },
      first: { type: 'string', default: '0' },
    },
  })
  const [count, seed, first] = [values.count, values.seed, values.first].map(Number)
  if (![count, seed, first].every((value) => Number.isSafeInteger(value)))
    throw new InvalidInputError('--count, --seed and --first are whole numbers')
  const result = await fuzz({
    count: count ?? 0,
    seed: seed ?? 0,
    first: first ?? 0,
    onProgress: (done) => process.stderr.isTTY && process.stderr.write(`\r${done} files`),
  })
  console.log(
    `${result.files} files in ${result.seconds.toFixed(1)} s: ${Math.round(result.files / result.seconds)} files/s`,
  )
  console.log(
    `slowest ${Math.round(result.slowestMs)} ms, peak RSS ${Math.round(result.peakRssBytes / 1e6)} MB`,
  )
  for (const [outcome, files] of Object.entries(result.outcomes).toSorted(([, a], [, b]) => b - a))
    console.log(`${String(files).padStart(8)}  ${outcome}`)
  const grown = result.peakRssBytes > MAX_RSS_BYTES ? [`memory grew to ${result.peakRssBytes} bytes`] : []
  for (const failure of [...result.failures, ...grown]) console.error(failure)
  if (result.failures.length + grown.length > 0) process.exitCode = 1
}

if (import.meta.main) await main()

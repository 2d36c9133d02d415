/**
 * One pass over a run file: decompression, according to its first bytes, and the walk over the MIDAS stream
 * inside.
 */
import { InvalidInputError } from '../errors.ts'
import { ByteSource } from '../midas/decompress/byte-source.ts'
import { decodeBzip2 } from '../midas/decompress/bzip2.ts'
import {
  type Compression,
  type DecodeEnd,
  detectCompression,
  SIGNATURE_BYTES,
  type Sink,
} from '../midas/decompress/decoder.ts'
import { decodeGzip, readGzipHeader } from '../midas/decompress/gzip.ts'
import { decodeLz4 } from '../midas/decompress/lz4.ts'
import { createReader, type MidasReader } from '../midas/reader.ts'
import type { WalkResult } from '../midas/walk-result.ts'
import { decompressByProcess, type ProcessEnd, type Program } from './decompress-process.ts'
import { isOneGzipMember } from './gzip-tail.ts'

export interface WalkOptions {
  readonly maxEventBytes: number
  /** Programs to use where they are installed: null never runs any. */
  readonly programs: Programs
  readonly signal: AbortSignal
}

export interface Programs {
  readonly gzip: Program | null
  readonly bzip2: Program | null
  /** Smaller files are decompressed in this process, since starting another one takes longer. */
  readonly minimumBytes: number
}

export const IGZIP: Program = { command: 'igzip', arguments: ['-dc'] }
export const BZIP2: Program = { command: 'bzip2', arguments: ['-dc'] }

export interface WalkedFile {
  readonly compression: Compression
  readonly decoded: DecodeEnd
  readonly walked: WalkResult
}

/**
 * Limits for decompression bombs, which expand more than `MAX_RATIO` times. Runs of real detectors compress
 * two to five times, a run of blank frames up to a thousand times (the maximum of deflate). So an expanding
 * stream may be long as long as it is valid MIDAS, and short once it is not; and no run has millions of
 * events (the largest known has 164,350).
 */
const MAX_RATIO = 200
const SOUND_BYTES = 4 * 1024 ** 3
const UNSOUND_BYTES = 1024 ** 3
const MAX_EVENTS = 5_000_000

function isBomb(reader: MidasReader, compressedBytes: number): boolean {
  if (reader.position <= MAX_RATIO * compressedBytes) return false
  return (
    reader.position > SOUND_BYTES ||
    (reader.hasStopped && reader.position > UNSOUND_BYTES) ||
    reader.eventsSeen > MAX_EVENTS
  )
}

const CLEAN: DecodeEnd = { problem: null, garbageOffset: null }
const PIECE_BYTES = 1024 * 1024

/**
 * Reads `bytes` as far as needed to know how the file ends.
 * @param bytes the file from its start.
 * @param reopen opens the file again from its start; used when the first pass is not conclusive.
 * @throws InvalidInputError when there is no MIDAS stream in the file, or it is a bomb.
 */
export async function walkFile(
  bytes: ByteSource,
  reopen: () => AsyncIterable<Uint8Array>,
  options: WalkOptions,
): Promise<WalkedFile> {
  if (!(await bytes.fill(1))) throw new InvalidInputError('nothing readable: the file is empty')
  await bytes.fill(SIGNATURE_BYTES)
  const compression = detectCompression(bytes.peek(SIGNATURE_BYTES))
  if (compression === 'none') return walk(compression, bytes, options, (sink) => passThrough(bytes, sink))
  if (compression === 'lz4') return walk(compression, bytes, options, (sink) => decodeLz4(bytes, sink))
  const fast = await walkByProcess(compression, bytes, options)
  if (fast !== 'in-process' && fast !== 'again') return fast
  if (fast === 'in-process') return walkInProcess(compression, bytes, reopen, options)
  // For a faulty file the program's result is not sufficient: ours is the same on all machines.
  const input = reopen()[Symbol.asyncIterator]()
  try {
    return await walkInProcess(compression, new ByteSource(input), reopen, options)
  } finally {
    await input.return?.()
  }
}

const walkInProcess = (
  compression: 'gzip' | 'bzip2',
  bytes: ByteSource,
  reopen: () => AsyncIterable<Uint8Array>,
  options: WalkOptions,
): Promise<WalkedFile> =>
  walk(compression, bytes, options, (sink) =>
    compression === 'gzip' ? decodeGzip(bytes, reopen, sink) : decodeBzip2(bytes, sink),
  )

async function passThrough(bytes: ByteSource, sink: Sink): Promise<DecodeEnd> {
  for (let piece = await bytes.take(PIECE_BYTES); piece !== null; piece = await bytes.take(PIECE_BYTES))
    sink(piece)
  return CLEAN
}

/**
 * in-process: no program is used, and nothing was read. again: the program failed, or its result is not
 * conclusive.
 */
async function walkByProcess(
  compression: 'gzip' | 'bzip2',
  bytes: ByteSource,
  options: WalkOptions,
): Promise<WalkedFile | 'in-process' | 'again'> {
  const program = options.programs[compression]
  if (program === null || !(await bytes.fill(options.programs.minimumBytes))) return 'in-process'
  if (compression === 'gzip' && readGzipHeader(bytes.peek(64 * 1024)).kind !== 'header') return 'in-process'
  let outcome: ProcessEnd['outcome'] | null = null
  try {
    return await walk(compression, bytes, options, async (sink) => {
      const end = await decompressByProcess(program, bytes, sink, options.signal)
      const isSure = compression !== 'gzip' || isOneGzipMember(end.tail, end.outputBytes)
      outcome = end.outcome === 'done' && !isSure ? 'failed' : end.outcome
      if (outcome !== 'done') throw new InvalidInputError(`${program.command} did not decompress the file`)
      return CLEAN
    })
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    if (outcome === 'unavailable') return 'in-process'
    // Invalid contents are refused early: then the rest of the file need not be read.
    if (outcome === 'failed') while ((await bytes.take(PIECE_BYTES)) !== null);
    return 'again'
  }
}

/** Decodes into a new walk and checks the expansion ratio. */
async function walk(
  compression: Compression,
  bytes: ByteSource,
  options: WalkOptions,
  decode: (sink: Sink) => Promise<DecodeEnd>,
): Promise<WalkedFile> {
  const reader = createReader({ maxEventBytes: options.maxEventBytes })
  const sink: Sink = (piece) => {
    reader.push(piece)
    if (isBomb(reader, bytes.position))
      throw new InvalidInputError(
        `decompression bomb: ${bytes.position} compressed bytes became ${reader.position}, more than ${MAX_RATIO} times as many`,
      )
  }
  const decoded = await decode(sink)
  if (reader.position === 0)
    throw new InvalidInputError(
      `nothing readable: ${decoded.problem?.message ?? 'the compressed file is empty inside'}`,
    )
  return { compression, decoded, walked: reader.end() }
}

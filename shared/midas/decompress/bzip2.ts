/**
 * Decompresses bzip2 streams. About ten times slower than the bzip2 program: for machines without it, and for
 * damaged files.
 */
import { InvalidInputError } from '../../errors.ts'
import { BitReader, OutOfBits } from './bit-reader.ts'
import type { ByteSource } from './byte-source.ts'
import { Bzip2Blocks } from './bzip2-block.ts'
import { Bzip2Error } from './bzip2-huffman.ts'
import type { DecodeEnd, DecodeProblem, Sink } from './decoder.ts'

const BLOCK_MAGIC = [0x314159, 0x265359] as const
const END_MAGIC = [0x177245, 0x385090] as const
/** An upper limit for a block: 900,000 symbols of 20 bits, with its tables. */
const WINDOW_BYTES = 2_500_000
const HEADER_BYTES = 4

/**
 * Decompresses bzip2 streams into `sink`.
 * @param source the file from its start; afterwards at the first byte that was not read.
 * @throws what `sink` and `source` throw.
 */
export async function decodeBzip2(source: ByteSource, sink: Sink): Promise<DecodeEnd> {
  let checksumProblem: DecodeProblem | null = null
  for (let isFirst = true; ; isFirst = false) {
    const start = source.position
    const isThere = await source.fill(HEADER_BYTES)
    const level = streamLevel(source.peek(HEADER_BYTES))
    if (level === null) {
      if (!isFirst)
        return { problem: checksumProblem, garbageOffset: (await isOnlyZeros(source)) ? null : start }
      const problem = isThere ? corrupt(start, 'no stream starts here') : truncated(start + source.available)
      return { problem, garbageOffset: null }
    }
    await source.skip(HEADER_BYTES)
    const problem = await decodeStream(source, level, sink)
    if (problem?.kind === 'truncated' || problem?.kind === 'corrupt') return { problem, garbageOffset: null }
    checksumProblem ??= problem
  }
}

const corrupt = (offset: number, what: string): DecodeProblem => ({
  kind: 'corrupt',
  offset,
  message: `the bzip2 stream is damaged at byte ${offset}: ${what}`,
})
const truncated = (offset: number): DecodeProblem => ({
  kind: 'truncated',
  offset,
  message: `the compressed file is cut at byte ${offset}, before the end of its bzip2 stream`,
})
const wrongChecksum = (offset: number, of: string): DecodeProblem => ({
  kind: 'checksum',
  offset,
  message: `the checksum of the compressed stream is wrong (bzip2: ${of}, at byte ${offset})`,
})

/** Block size in units of 100,000 bytes, from the stream's header; null when there is none. */
function streamLevel(header: Uint8Array): number | null {
  const [b, z, h, digit = 0] = header
  return b === 0x42 && z === 0x5a && h === 0x68 && digit >= 0x31 && digit <= 0x39 ? digit - 0x30 : null
}

async function isOnlyZeros(source: ByteSource): Promise<boolean> {
  for (let piece = await source.take(65536); piece !== null; piece = await source.take(65536))
    if (piece.some((byte) => byte !== 0)) return false
  return true
}

/**
 * One flipped bit scrambles a whole block, which may then look like something other than MIDAS: the damage is
 * reported.
 */
function handOut(pieces: readonly Uint8Array[], damage: DecodeProblem | null, sink: Sink): void {
  try {
    for (const piece of pieces) sink(piece)
  } catch (error) {
    if (damage === null || !(error instanceof InvalidInputError)) throw error
    throw new InvalidInputError(`nothing readable: ${damage.message}`, {}, { cause: error })
  }
}

/**
 * Decodes the blocks of one stream; afterwards the source is at the byte after it. Returns the problem, or
 * null.
 */
async function decodeStream(source: ByteSource, level: number, sink: Sink): Promise<DecodeProblem | null> {
  const blocks = new Bzip2Blocks(level)
  let checksumProblem: DecodeProblem | null = null
  let streamCrc = 0
  let bitOffset = 0
  for (;;) {
    const isMore = await source.fill(WINDOW_BYTES)
    const start = source.position
    const bits = new BitReader(source.peek(WINDOW_BYTES), bitOffset)
    const here = () => start + Math.floor(bits.position / 8)
    try {
      const [high, low] = [bits.read(24), bits.read(24)]
      const isEnd = high === END_MAGIC[0] && low === END_MAGIC[1]
      if (!isEnd && (high !== BLOCK_MAGIC[0] || low !== BLOCK_MAGIC[1]))
        throw new Bzip2Error('no block starts here')
      const storedCrc = bits.readU32()
      if (isEnd) {
        const crcOffset = here() - 4
        await source.skip(Math.ceil(bits.position / 8))
        if (storedCrc !== streamCrc) checksumProblem ??= wrongChecksum(crcOffset, 'of the whole stream')
        return checksumProblem
      }
      blocks.read(bits)
      const pieces: Uint8Array[] = []
      const crc = blocks.write((piece) => pieces.push(piece.slice()))
      const damage = crc === storedCrc ? null : wrongChecksum(start, 'of a block')
      checksumProblem ??= damage
      handOut(pieces, damage, sink)
      streamCrc = (((streamCrc << 1) | (streamCrc >>> 31)) ^ crc) >>> 0
      await source.skip(Math.floor(bits.position / 8))
      bitOffset = bits.position % 8
    } catch (error) {
      if (error instanceof OutOfBits)
        return isMore ? corrupt(here(), 'a block without an end') : truncated(start + source.available)
      if (error instanceof Bzip2Error) return corrupt(here(), error.message)
      throw error
    }
  }
}

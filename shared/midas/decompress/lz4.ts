/**
 * lz4 frames (the LZ4 Frame Format, version 1.6): any number of frames, including skippable ones; blocks
 * linked or independent, compressed or not, with or without checksums. Dictionaries are not supported, since
 * MIDAS does not use them.
 */
import type { ByteSource } from './byte-source.ts'
import type { DecodeEnd, DecodeProblem, Sink } from './decoder.ts'
import { decodeLz4Block } from './lz4-block.ts'
import { Xxh32, xxh32 } from './xxh32.ts'

const FRAME_MAGIC = 0x184d2204
const SKIPPABLE_MAGIC = 0x184d2a50
const HISTORY_BYTES = 64 * 1024
const UNCOMPRESSED_FLAG = 0x80000000
/** Magic, FLG, BD, content size, dictionary id, HC. */
const MAX_HEADER_BYTES = 4 + 2 + 8 + 4 + 1

interface FrameHeader {
  readonly bytes: number
  readonly linked: boolean
  readonly blockChecksums: boolean
  readonly contentChecksum: boolean
  readonly contentBytes: bigint | null
  readonly maxBlockBytes: number
}

/** Thrown inside this file to leave a frame. */
class FrameError extends Error {
  readonly problem: DecodeProblem
  constructor(kind: DecodeProblem['kind'], offset: number, message: string) {
    super(message)
    this.problem = { kind, offset, message }
  }
}

const corrupt = (offset: number, what: string) =>
  new FrameError('corrupt', offset, `the lz4 stream is damaged at byte ${offset}: ${what}`)
const cut = (offset: number) =>
  new FrameError(
    'truncated',
    offset,
    `the compressed file is cut at byte ${offset}, before the end of its lz4 stream`,
  )
const u32 = (bytes: Uint8Array, at = 0): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true)

/**
 * Decompresses lz4 frames into `sink`.
 * @param source the file from its start; afterwards at the first byte that was not read.
 * @throws what `sink` and `source` throw.
 */
export async function decodeLz4(source: ByteSource, sink: Sink): Promise<DecodeEnd> {
  const decoder = new Lz4Decoder(source, sink)
  try {
    for (let isFirst = true; await source.fill(1); isFirst = false) {
      const start = source.position
      const isThere = await source.fill(4)
      const magic = isThere ? u32(source.peek(4)) : 0
      if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) await decoder.skipFrame()
      else if (magic === FRAME_MAGIC) await decoder.frame()
      else if (isFirst) throw isThere ? corrupt(start, 'no frame starts here') : cut(start + source.available)
      else
        return { problem: decoder.checksumProblem, garbageOffset: (await isOnlyZeros(source)) ? null : start }
    }
    return { problem: decoder.checksumProblem, garbageOffset: null }
  } catch (error) {
    if (error instanceof FrameError) return { problem: error.problem, garbageOffset: null }
    throw error
  }
}

async function isOnlyZeros(source: ByteSource): Promise<boolean> {
  for (let piece = await source.take(65536); piece !== null; piece = await source.take(65536))
    if (piece.some((byte) => byte !== 0)) return false
  return true
}

class Lz4Decoder {
  readonly #source: ByteSource
  readonly #sink: Sink
  /** History, followed by space for one block. */
  #output = new Uint8Array(0)
  #historyBytes = 0
  /** The first checksum that did not match; decoding continues, and its output is passed on. */
  checksumProblem: DecodeProblem | null = null

  constructor(source: ByteSource, sink: Sink) {
    this.#source = source
    this.#sink = sink
  }

  async skipFrame(): Promise<void> {
    if (!(await this.#source.fill(8))) throw cut(this.#source.position + this.#source.available)
    const length = u32(this.#source.peek(8), 4)
    if (!(await this.#source.skip(8 + length))) throw cut(this.#source.position)
  }

  async frame(): Promise<void> {
    const source = this.#source
    const header = await this.#header()
    await source.skip(header.bytes)
    this.#historyBytes = 0
    // Grows to the size that the blocks need: a small file does not allocate the 4 MiB that its header
    // allows.
    const content = header.contentChecksum ? new Xxh32() : null
    let contentBytes = 0n
    for (;;) {
      const blockStart = source.position
      const size = await this.#u32()
      if (size === 0) break
      const length = size & ~UNCOMPRESSED_FLAG
      if (length > header.maxBlockBytes)
        throw corrupt(blockStart, `a block of ${length} bytes, more than the frame allows`)
      contentBytes += BigInt(await this.#block(length, size >>> 31 === 1, header, content))
    }
    if (content !== null) {
      const at = source.position
      if ((await this.#u32()) !== content.digest()) this.#wrongChecksum(at, 'of the content')
    }
    if (header.contentBytes !== null && header.contentBytes !== contentBytes)
      this.#wrongChecksum(source.position, 'its content size')
  }

  async #header(): Promise<FrameHeader> {
    const source = this.#source
    const start = source.position
    await source.fill(MAX_HEADER_BYTES)
    const bytes = source.peek(MAX_HEADER_BYTES)
    if (bytes.length < 6) throw cut(start + bytes.length)
    const flags = bytes[4] ?? 0
    const descriptor = bytes[5] ?? 0
    const hasSize = (flags & 0x08) !== 0
    const hasDictionary = (flags & 0x01) !== 0
    const length = 6 + (hasSize ? 8 : 0) + (hasDictionary ? 4 : 0)
    if (bytes.length < length + 1) throw cut(start + bytes.length)
    if (flags >>> 6 !== 1) throw corrupt(start, 'a frame of a version that does not exist')
    if (((xxh32(bytes.subarray(4, length)) >>> 8) & 0xff) !== bytes[length])
      throw corrupt(start, 'the checksum of the frame header is wrong')
    const sizeCode = (descriptor >>> 4) & 7
    if (sizeCode < 4 || (descriptor & 0x8f) !== 0 || (flags & 0x02) !== 0)
      throw corrupt(start, 'a frame header that means nothing')
    if (hasDictionary) throw corrupt(start, 'a frame that needs a dictionary')
    return {
      bytes: length + 1,
      linked: (flags & 0x20) === 0,
      blockChecksums: (flags & 0x10) !== 0,
      contentChecksum: (flags & 0x04) !== 0,
      contentBytes: hasSize ? new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(6, true) : null,
      maxBlockBytes: 2 ** (8 + 2 * sizeCode),
    }
  }

  /** Decodes one block; returns its decoded length. */
  async #block(
    length: number,
    isStored: boolean,
    header: FrameHeader,
    content: Xxh32 | null,
  ): Promise<number> {
    const source = this.#source
    const start = source.position
    const isWhole = await source.fill(length)
    const block = source.peek(length)
    const history = header.linked ? this.#historyBytes : 0
    const limit = history + header.maxBlockBytes
    this.#reserve(
      history + (isStored ? block.length : Math.min(header.maxBlockBytes, block.length * 255 + 64)),
      limit,
    )
    const historyStart = 0
    let end: number
    let error: { readonly kind: 'cut' | 'corrupt'; readonly at: number } | null = null
    if (isStored) {
      this.#output.set(block, history)
      end = history + block.length
    } else
      ({ end, error } = decodeLz4Block(
        block,
        this.#output,
        historyStart,
        history,
        Math.min(limit, this.#output.length),
      ))
    const decoded = this.#output.subarray(history, end)
    content?.update(decoded)
    this.#sink(decoded)
    if (!isWhole)
      throw error?.kind === 'corrupt'
        ? corrupt(start + error.at, 'a sequence that makes no sense')
        : cut(start + block.length)
    if (error !== null)
      throw corrupt(
        start + error.at,
        error.kind === 'cut' ? 'a block that ends inside a sequence' : 'a sequence that makes no sense',
      )
    const decodedBytes = decoded.length
    const checksum = header.blockChecksums ? xxh32(block) : 0
    await source.skip(length)
    if (header.blockChecksums && (await this.#u32()) !== checksum)
      this.#wrongChecksum(source.position - 4, 'of a block')
    this.#keepHistory(end)
    return decodedBytes
  }

  #reserve(wanted: number, limit: number): void {
    if (this.#output.length >= wanted) return
    const grown = new Uint8Array(Math.min(limit, HISTORY_BYTES + Math.max(wanted, 64 * 1024)))
    grown.set(this.#output.subarray(0, this.#historyBytes))
    this.#output = grown
  }

  #keepHistory(end: number): void {
    const kept = Math.min(HISTORY_BYTES, end)
    this.#output.copyWithin(0, end - kept, end)
    this.#historyBytes = kept
  }

  async #u32(): Promise<number> {
    if (!(await this.#source.fill(4))) throw cut(this.#source.position + this.#source.available)
    const value = u32(this.#source.peek(4))
    await this.#source.skip(4)
    return value
  }

  #wrongChecksum(offset: number, of: string): void {
    const message = `the checksum of the compressed stream is wrong (lz4: ${of}, at byte ${offset})`
    this.checksumProblem ??= { kind: 'checksum', offset, message }
  }
}

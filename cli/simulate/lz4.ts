/**
 * LZ4 frames as the MIDAS logger writes them: linked blocks of 4 MiB, no block checksum, no content size,
 * content checksum. Formats: lz4_Frame_format.md and lz4_Block_format.md of https://github.com/lz4/lz4.
 */
import { Xxh32, xxh32 } from '../../shared/midas/decompress/xxh32.ts'

const MAGIC = 0x184d2204
/** Version 1, linked blocks, content checksum. */
const FLAGS = 0x44
/** Blocks of at most 4 MiB. */
const BLOCK_DESCRIPTOR = 0x70
const BLOCK_BYTES = 4 * 1024 * 1024
/** A linked block may refer this far back into those before it. */
const HISTORY_BYTES = 64 * 1024
const STORED = 0x8000_0000

const MATCH_LEAST = 4
/** The last match starts this far before a block's end, and its last five bytes are literals. */
const MATCH_START_MARGIN = 12
const LITERAL_END = 5
const HASH_BITS = 16

/** Compresses a stream into one frame. */
export async function* lz4Frame(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const descriptor = Uint8Array.of(FLAGS, BLOCK_DESCRIPTOR)
  yield Uint8Array.of(...word(MAGIC), ...descriptor, (xxh32(descriptor) >>> 8) & 0xff)

  const content = new Xxh32()
  // History first, then the block being collected.
  const window = new Uint8Array(HISTORY_BYTES + BLOCK_BYTES)
  let history = 0
  let end = 0
  const flush = function* (): Iterable<Uint8Array> {
    const plain = window.subarray(history, end)
    content.update(plain)
    const packed = compressBlock(window.subarray(0, end), history)
    if (packed === null) {
      yield word((plain.length | STORED) >>> 0)
      yield plain.slice()
    } else {
      yield word(packed.length)
      yield packed
    }
    const kept = Math.min(end, HISTORY_BYTES)
    window.copyWithin(0, end - kept, end)
    history = kept
    end = kept
  }
  for await (const chunk of source)
    for (let at = 0; at < chunk.length; ) {
      const length = Math.min(chunk.length - at, history + BLOCK_BYTES - end)
      window.set(chunk.subarray(at, at + length), end)
      end += length
      at += length
      if (end === history + BLOCK_BYTES) yield* flush()
    }
  if (end > history) yield* flush()
  yield word(0)
  yield word(content.digest())
}

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer)
}

/**
 * One block, `window` from `from` on, with matches into all of `window`; null when it does not get smaller.
 */
function compressBlock(window: Uint8Array, from: number): Uint8Array | null {
  const out = new Uint8Array(window.length - from)
  const view = new DataView(window.buffer, window.byteOffset, window.byteLength)
  const heads = new Int32Array(1 << HASH_BITS).fill(-1)
  const hashAt = (at: number) => Math.imul(view.getInt32(at, true), 0x9e3779b1) >>> (32 - HASH_BITS)
  for (let at = Math.max(0, from - HISTORY_BYTES); at + MATCH_LEAST <= from; at++) heads[hashAt(at)] = at

  const writer: Writer = { out, at: 0 }
  let literals = from
  let at = from
  let misses = 0
  while (at < window.length - MATCH_START_MARGIN) {
    const hash = hashAt(at)
    const candidate = heads[hash] ?? -1
    heads[hash] = at
    if (
      candidate < 0 ||
      at - candidate >= HISTORY_BYTES ||
      view.getInt32(candidate, true) !== view.getInt32(at, true)
    ) {
      // Noise rarely matches: the search skips more and more bytes until the next match.
      misses += 1
      at += 1 + (misses >> 6)
      continue
    }
    misses = 0
    let length = MATCH_LEAST
    while (at + length < window.length - LITERAL_END && window[candidate + length] === window[at + length])
      length += 1
    if (!writeSequence(writer, window.subarray(literals, at), at - candidate, length)) return null
    at += length
    literals = at
  }
  return writeSequence(writer, window.subarray(literals), 0, 0) ? out.subarray(0, writer.at) : null
}

interface Writer {
  readonly out: Uint8Array
  at: number
}

/**
 * Literals, then a match `length` long `offset` back (the last sequence has none); false when the output is
 * full.
 */
function writeSequence(writer: Writer, literals: Uint8Array, offset: number, length: number): boolean {
  const most = 1 + Math.ceil(literals.length / 255) + literals.length + 3 + Math.ceil(length / 255)
  if (writer.at + most > writer.out.length) return false
  const extra = length === 0 ? 0 : length - MATCH_LEAST
  writer.out[writer.at++] = (Math.min(literals.length, 15) << 4) | Math.min(extra, 15)
  writeLength(writer, literals.length)
  writer.out.set(literals, writer.at)
  writer.at += literals.length
  if (length === 0) return true
  writer.out[writer.at++] = offset & 0xff
  writer.out[writer.at++] = offset >>> 8
  writeLength(writer, extra)
  return true
}

/** The part of a length that does not fit into the token's four bits: bytes of 255 and a remainder. */
function writeLength(writer: Writer, length: number): void {
  if (length < 15) return
  let rest = length - 15
  for (; rest >= 255; rest -= 255) writer.out[writer.at++] = 255
  writer.out[writer.at++] = rest
}

/** The common interface of the decompressors. */

/** Receives decompressed bytes in order. They are only valid during the call. */
export type Sink = (bytes: Uint8Array) => void

/** A fault of the compressed stream; offsets are in the compressed file. */
export interface DecodeProblem {
  /**
   * truncated: the file ends early. corrupt: not decodable from the offset on. checksum: everything was
   * decoded, but differs from the original data.
   */
  readonly kind: 'truncated' | 'corrupt' | 'checksum'
  readonly offset: number
  /** A sentence without the full stop. */
  readonly message: string
}

/** How a compressed stream ended, as reported by the decompressor. */
export interface DecodeEnd {
  /** Null when the compressed stream is complete and undamaged. */
  readonly problem: DecodeProblem | null
  /**
   * Offset of bytes after the last stream that belong to none (padding with zeros does not count); null when
   * there are none.
   */
  readonly garbageOffset: number | null
}

export type Compression = 'none' | 'gzip' | 'lz4' | 'bzip2'

const startsWith = (bytes: Uint8Array, signature: readonly number[]): boolean =>
  signature.every((byte, index) => bytes[index] === byte)

/** Number of bytes that `detectCompression` needs. */
export const SIGNATURE_BYTES = 4

/** The compression according to the first bytes; the file name is only a hint. */
export function detectCompression(start: Uint8Array): Compression {
  if (startsWith(start, [0x1f, 0x8b])) return 'gzip'
  if (startsWith(start, [0x42, 0x5a, 0x68])) return 'bzip2'
  // A frame, or a skippable frame (0x184d2a50 to 0x184d2a5f) before the first one.
  const isSkippable =
    start.length >= 4 &&
    ((start[0] ?? 0) & 0xf0) === 0x50 &&
    startsWith(start.subarray(1), [0x2a, 0x4d, 0x18])
  return isSkippable || startsWith(start, [0x04, 0x22, 0x4d, 0x18]) ? 'lz4' : 'none'
}

/** The compression according to the file name. */
export function namedCompression(fileName: string): Compression {
  const ending = /\.(gz|lz4|bz2)$/.exec(fileName)?.[1]
  if (ending === 'gz') return 'gzip'
  if (ending === 'bz2') return 'bzip2'
  return ending === 'lz4' ? 'lz4' : 'none'
}

/** What every decompressor promises. */

/** Takes decompressed bytes in order. They are only valid during the call. */
export type Sink = (bytes: Uint8Array) => void

/** How the compressed stream went wrong; offsets are in the compressed file. */
export interface DecodeProblem {
  /**
   * truncated: the file ends too early. corrupt: not decodable from the offset on. checksum: all decoded, but
   * it is not what was compressed.
   */
  readonly kind: 'truncated' | 'corrupt' | 'checksum'
  readonly offset: number
  /** A sentence without the full stop. */
  readonly message: string
}

/** How a compressed stream ended, in the decompressor's own words. */
export interface DecodeEnd {
  /** Null when the compressed stream is whole and sound. */
  readonly problem: DecodeProblem | null
  /**
   * Where bytes that belong to no compressed stream follow the last one (padding with zeros does not count);
   * null when none do.
   */
  readonly garbageOffset: number | null
}

export type Compression = 'none' | 'gzip' | 'lz4' | 'bzip2'

const startsWith = (bytes: Uint8Array, signature: readonly number[]): boolean =>
  signature.every((byte, index) => bytes[index] === byte)

/** Bytes `detectCompression` wants to see. */
export const SIGNATURE_BYTES = 4

/** The compression that a file's first bytes announce; its name is only a hint. */
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

/** The compression that a file name announces. */
export function namedCompression(fileName: string): Compression {
  const ending = /\.(gz|lz4|bz2)$/.exec(fileName)?.[1]
  if (ending === 'gz') return 'gzip'
  if (ending === 'bz2') return 'bzip2'
  return ending === 'lz4' ? 'lz4' : 'none'
}

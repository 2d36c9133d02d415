/** What the end of a gzip file tells about the whole. */
import { readGzipHeader } from '../midas/decompress/gzip.ts'

const TRAILER_BYTES = 8
/** The second half of the trailer: the length of the member's data, modulo 2^32. */
const LENGTH_BYTES = 4
/**
 * Written by loggers with zlib before 1.2.12 behind the run: header, an empty deflate block, CRC and length
 * of nothing.
 */
const EMPTY_MEMBER_BYTES = 20

/**
 * True when a file that igzip decompressed without complaint holds one member and nothing behind it (except
 * an empty member). igzip passes silently over garbage, and joins members; of those, the file's last four
 * bytes do not tell the length of all that came out. Only garbage longer than the tail that ends with the
 * right length stays unnoticed; it would cost a warning, no data.
 * @param tail the last bytes of the compressed file.
 * @param outputBytes all that came out.
 */
export function isOneGzipMember(tail: Uint8Array, outputBytes: number): boolean {
  const file = withoutEmptyMember(tail)
  if (file.length < TRAILER_BYTES) return false
  const length = Buffer.from(file.subarray(-LENGTH_BYTES))
  if (length.readUInt32LE(0) !== outputBytes % 2 ** 32) return false
  // The same length further up may be the member's true end, and what follows garbage that repeats it.
  return Buffer.from(file).indexOf(length) === file.length - LENGTH_BYTES
}

function withoutEmptyMember(tail: Uint8Array): Uint8Array {
  const last = tail.subarray(-EMPTY_MEMBER_BYTES)
  const header = readGzipHeader(last)
  const isEmpty = last.length === EMPTY_MEMBER_BYTES && header.kind === 'header' && header.bytes === 10
  const content = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  return isEmpty && content.every((byte, index) => last[10 + index] === byte)
    ? tail.subarray(0, -EMPTY_MEMBER_BYTES)
    : tail
}

/** What the end of a gzip file reveals about the whole. */
import { readGzipHeader } from '../midas/decompress/gzip.ts'

const TRAILER_BYTES = 8
/** The second half of the trailer: the length of the member's data, modulo 2^32. */
const LENGTH_BYTES = 4
/**
 * Appended to the run by loggers with zlib before 1.2.12: header, an empty deflate block, CRC and length of
 * no data.
 */
const EMPTY_MEMBER_BYTES = 20

/**
 * Whether a file that igzip decompressed without an error has one member and nothing after it (except an
 * empty member). igzip silently skips garbage and joins members; in both cases the last four bytes of the
 * file are not the length of the output. Undetected is only garbage that is longer than the tail and ends
 * with the right length; then a warning is missing, but no data.
 * @param tail the last bytes of the compressed file.
 * @param outputBytes length of the whole output.
 */
export function isOneGzipMember(tail: Uint8Array, outputBytes: number): boolean {
  const file = withoutEmptyMember(tail)
  if (file.length < TRAILER_BYTES) return false
  const length = Buffer.from(file.subarray(-LENGTH_BYTES))
  if (length.readUInt32LE(0) !== outputBytes % 2 ** 32) return false
  // The same length further up may be the member's real end, followed by garbage that repeats it.
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

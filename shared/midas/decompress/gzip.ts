/**
 * gzip (RFC 1952): one or more members, each with a header, a deflate stream, its CRC-32 and its length. The
 * members are parsed here and only the deflate streams are decoded by node:zlib, because its gunzip drops
 * output when the final checksum is wrong and fails on garbage after the last member.
 */
import { crc32 } from 'node:zlib'
import { InvalidInputError } from '../../errors.ts'
import { ByteSource } from './byte-source.ts'
import type { DecodeEnd, DecodeProblem, Sink } from './decoder.ts'
import { type Inflated, inflate } from './inflate.ts'

const FLAG_HEADER_CRC = 0x02
const FLAG_EXTRA = 0x04
const FLAG_NAME = 0x08
const FLAG_COMMENT = 0x10
const RESERVED_FLAGS = 0xe0
const FIXED_BYTES = 10
const TRAILER_BYTES = 8
/** Names and comments have no limit in the format; no real header comes near this size. */
const MAX_HEADER_BYTES = 128 * 1024
/**
 * Loggers write one member, concatenated files have a few. Each takes a fraction of a millisecond, whatever
 * its size.
 */
const MOST_TINY_MEMBERS = 20_000
const TINY_MEMBER_BYTES = 1000

export type GzipHeader =
  | { readonly kind: 'header'; readonly bytes: number }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'not-gzip' }
  | { readonly kind: 'damaged'; readonly message: string }

/** Parses a member header at the start of `bytes`; `incomplete` when more bytes are needed. */
export function readGzipHeader(bytes: Uint8Array): GzipHeader {
  const signature = [0x1f, 0x8b, 8]
  if (bytes.subarray(0, 3).some((byte, index) => byte !== signature[index])) return { kind: 'not-gzip' }
  if (bytes.length < FIXED_BYTES) return { kind: 'incomplete' }
  const flags = bytes[3] ?? 0
  if ((flags & RESERVED_FLAGS) !== 0)
    return { kind: 'damaged', message: 'the gzip header has flags that do not exist' }
  let at = FIXED_BYTES
  if ((flags & FLAG_EXTRA) !== 0) {
    if (bytes.length < at + 2) return { kind: 'incomplete' }
    at += 2 + (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0)
  }
  for (const flag of [FLAG_NAME, FLAG_COMMENT]) {
    if ((flags & flag) === 0) continue
    const end = at <= bytes.length ? bytes.indexOf(0, at) : -1
    if (end < 0)
      return bytes.length < MAX_HEADER_BYTES
        ? { kind: 'incomplete' }
        : { kind: 'damaged', message: 'the gzip header does not end' }
    at = end + 1
  }
  if ((flags & FLAG_HEADER_CRC) !== 0) {
    if (bytes.length < at + 2) return { kind: 'incomplete' }
    const stored = (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0)
    if (stored !== (crc32(bytes.subarray(0, at)) & 0xffff))
      return { kind: 'damaged', message: 'the checksum of the gzip header is wrong' }
    at += 2
  }
  return bytes.length < at ? { kind: 'incomplete' } : { kind: 'header', bytes: at }
}

/**
 * Decompresses a gzip file into `sink`.
 * @param reopen opens the file again from its start, to locate damage exactly; called only then, up to twice.
 * @param source the file from its start; afterwards at the first byte that was not read.
 * @throws what `sink` and `source` throw.
 */
export async function decodeGzip(
  source: ByteSource,
  reopen: () => AsyncIterable<Uint8Array>,
  sink: Sink,
): Promise<DecodeEnd> {
  let checksumProblem: DecodeProblem | null = null
  let members = 0
  let outputBytes = 0
  for (let isFirst = true; ; isFirst = false) {
    const start = source.position
    const header = await takeHeader(source)
    if (header.kind === 'not-gzip' && !isFirst) {
      const garbageOffset = await garbageAfterZeros(source)
      if (garbageOffset === 'member') continue
      return { problem: checksumProblem, garbageOffset }
    }
    if (header.kind === 'damaged' && !isFirst) return { problem: checksumProblem, garbageOffset: start }
    if (header.kind === 'incomplete')
      return {
        problem: truncated(source.position + source.available, 'inside a gzip header'),
        garbageOffset: null,
      }
    if (header.kind !== 'header')
      return {
        problem: { kind: 'corrupt', offset: start, message: headerMessage(header, start) },
        garbageOffset: null,
      }
    if (await skipEmptyMember(source)) {
      if (!(await source.fill(1))) return { problem: checksumProblem, garbageOffset: null }
      continue
    }
    const dataStart = source.position
    let inflated = await inflate(source, sink)
    if (inflated.outcome === 'corrupt') inflated = await findDamage(reopen, dataStart, inflated, sink)
    if (inflated.outcome === 'corrupt') {
      const offset = dataStart + inflated.consumedBytes
      return {
        problem: { kind: 'corrupt', offset, message: `the gzip stream is damaged at byte ${offset}` },
        garbageOffset: null,
      }
    }
    members += 1
    outputBytes += inflated.outputBytes
    if (members > MOST_TINY_MEMBERS && outputBytes < members * TINY_MEMBER_BYTES)
      throw new InvalidInputError(
        `not a run: more than ${MOST_TINY_MEMBERS} gzip members of a few bytes each`,
      )
    const hasTrailer = inflated.outcome === 'end' && (await source.fill(TRAILER_BYTES))
    if (!hasTrailer)
      return {
        problem: truncated(source.position + source.available, 'before the end of its gzip stream'),
        garbageOffset: null,
      }
    const message = trailerMessage(source.peek(TRAILER_BYTES), inflated, source.position)
    if (message !== null) checksumProblem ??= { kind: 'checksum', offset: source.position, message }
    await source.skip(TRAILER_BYTES)
    if (!(await source.fill(1))) return { problem: checksumProblem, garbageOffset: null }
  }
}

/**
 * An empty member: the shortest deflate block, a CRC and a length of zero. Skipped without zlib, since files
 * may contain very many.
 */
const EMPTY_MEMBER = Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0, 0)

async function skipEmptyMember(source: ByteSource): Promise<boolean> {
  if (!(await source.fill(EMPTY_MEMBER.length))) return false
  const next = source.peek(EMPTY_MEMBER.length)
  if (EMPTY_MEMBER.some((byte, index) => next[index] !== byte)) return false
  await source.skip(EMPTY_MEMBER.length)
  return true
}

const truncated = (offset: number, where: string): DecodeProblem => ({
  kind: 'truncated',
  offset,
  message: `the compressed file is cut at byte ${offset}, ${where}`,
})

const headerMessage = (header: GzipHeader, offset: number): string =>
  header.kind === 'damaged'
    ? `${header.message} (at byte ${offset})`
    : `the gzip header at byte ${offset} is damaged`

async function takeHeader(source: ByteSource): Promise<GzipHeader> {
  for (let wanted = FIXED_BYTES; ; wanted *= 4) {
    const isThere = await source.fill(wanted)
    const header = readGzipHeader(source.peek(wanted))
    if (header.kind === 'incomplete' && isThere) continue
    if (header.kind === 'header') await source.skip(header.bytes)
    return header
  }
}

/**
 * After a member, zeros are padding (tape blocks). Returns the offset of anything else, 'member' if that is
 * another member, null for nothing.
 */
async function garbageAfterZeros(source: ByteSource): Promise<number | 'member' | null> {
  const start = source.position
  for (let piece = await source.take(65536); piece !== null; piece = await source.take(65536)) {
    const at = piece.findIndex((byte) => byte !== 0)
    if (at < 0) continue
    source.unread([piece.subarray(at)])
    if (source.position === start) return start
    await source.fill(FIXED_BYTES)
    return readGzipHeader(source.peek(FIXED_BYTES)).kind === 'not-gzip' ? start : 'member'
  }
  return null
}

function trailerMessage(trailer: Uint8Array, inflated: Inflated, offset: number): string | null {
  const view = new DataView(trailer.buffer, trailer.byteOffset, TRAILER_BYTES)
  if (view.getUint32(0, true) !== inflated.crc32)
    return `the checksum of the compressed stream is wrong (CRC-32 at byte ${offset})`
  if (view.getUint32(4, true) !== inflated.outputBytes % 2 ** 32)
    return `the checksum of the compressed stream is wrong (its length at byte ${offset + 4})`
  return null
}

/** Piece sizes for the second and the third pass: the last one locates the damage to the byte. */
const FINER_PIECES_BYTES = [64, 1]

/**
 * Reads a corrupt member again, in small pieces around the damage, and passes to `sink` what can be decoded
 * before it and was not passed yet.
 */
async function findDamage(
  reopen: () => AsyncIterable<Uint8Array>,
  dataStart: number,
  first: Inflated,
  sink: Sink,
): Promise<Inflated> {
  let found = first
  for (const pieceBytes of FINER_PIECES_BYTES) {
    const input = reopen()[Symbol.asyncIterator]()
    try {
      const source = new ByteSource(input)
      await source.skip(dataStart)
      let known = found.outputBytes
      const onlyNew: Sink = (bytes) => {
        const skipped = Math.min(known, bytes.length)
        known -= skipped
        if (skipped < bytes.length) sink(bytes.subarray(skipped))
      }
      found = await inflate(source, onlyNew, { offset: dataStart + found.consumedBytes, pieceBytes })
    } finally {
      await input.return?.()
    }
    if (found.outcome !== 'corrupt') return found
  }
  return found
}

/** Event headers, and the check whether bytes are the start of a MIDAS file. */
import { InvalidInputError } from '../errors.ts'
import {
  BANK_FLAGS,
  BANKS_HEADER_BYTES,
  EVENT_BEGIN_OF_RUN,
  EVENT_END_OF_RUN,
  EVENT_FRAGMENT_FIRST,
  EVENT_FRAGMENT_NEXT,
  EVENT_HEADER_BYTES,
  EVENT_MESSAGE,
  MIDAS_MAGIC,
} from './format.ts'

export interface EventHeader {
  readonly id: number
  readonly mask: number
  readonly serial: number
  /** Unix seconds. */
  readonly timeSeconds: number
  /** Bytes of data that follow the header. */
  readonly dataBytes: number
}

export const u16 = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
export const u32 = (bytes: Uint8Array, at: number): number =>
  (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0

/** The header in the 16 bytes at `at` (any alignment: events follow each other without padding). */
export function readEventHeader(bytes: Uint8Array, at: number): EventHeader {
  return {
    id: u16(bytes, at),
    mask: u16(bytes, at + 2),
    serial: u32(bytes, at + 4),
    timeSeconds: u32(bytes, at + 8),
    dataBytes: u32(bytes, at + 12),
  }
}

export type EventKind =
  | 'begin-of-run'
  | 'end-of-run'
  | 'message'
  | 'first-fragment'
  | 'next-fragment'
  | 'data'

export function eventKind(id: number): EventKind {
  if (id === EVENT_BEGIN_OF_RUN) return 'begin-of-run'
  if (id === EVENT_END_OF_RUN) return 'end-of-run'
  if (id === EVENT_MESSAGE) return 'message'
  const upperBits = id & 0xf000
  if (upperBits === EVENT_FRAGMENT_FIRST) return 'first-fragment'
  return upperBits === EVENT_FRAGMENT_NEXT ? 'next-fragment' : 'data'
}

/** Flags that writers actually set; others are read by their bits, but are no evidence of a MIDAS event. */
export const hasUsualFlags = (flags: number): boolean => Object.values(BANK_FLAGS).includes(flags)

/** Number of bytes that `checkStart` needs: an event header and the start of its body. */
export const START_BYTES = EVENT_HEADER_BYTES + BANKS_HEADER_BYTES

/**
 * Checks that a stream starts like a MIDAS file: with a begin-of-run, end-of-run or message event, or with a
 * data event that contains banks (runs written without ODB dumps).
 * @param start the first `START_BYTES` bytes; fewer only when the stream is shorter.
 * @throws InvalidInputError for empty files, big-endian files, and anything that is not MIDAS.
 */
export function checkStart(start: Uint8Array, maxEventBytes: number): void {
  if (start.length === 0)
    throw new InvalidInputError('nothing readable: there is not a single byte of data in the file')
  if (isBigEndian(start))
    throw new InvalidInputError('this is a big-endian MIDAS file; only little-endian ones are supported')
  if (!startsLikeAnEvent(start, maxEventBytes))
    throw new InvalidInputError(`this is not a MIDAS file: ${describeStart(start)}`)
  if (start.length <= EVENT_HEADER_BYTES)
    throw new InvalidInputError(
      `nothing readable: the data end after ${start.length} bytes, before the first event's contents`,
    )
}

function startsLikeAnEvent(start: Uint8Array, maxEventBytes: number): boolean {
  const kind = eventKind(u16(start, 0))
  const hasMagic = u16(start, 2) === MIDAS_MAGIC
  // Shorter than an event header: only its first two words can be checked.
  if (start.length < EVENT_HEADER_BYTES)
    return start.length >= 4 && kind !== 'data' && (hasMagic || kind === 'message')
  const { dataBytes } = readEventHeader(start, 0)
  const body = start.subarray(EVENT_HEADER_BYTES)
  if (kind === 'begin-of-run' || kind === 'end-of-run')
    return hasMagic || (dataBytes <= maxEventBytes && isDumpText(body))
  if (kind === 'message')
    return (
      dataBytes > 0 &&
      dataBytes <= maxEventBytes &&
      body.every((byte) => byte >= 0x20 || byte === 0 || byte === 0x0a)
    )
  if (kind !== 'data') return dataBytes > 0 && dataBytes <= maxEventBytes
  if (dataBytes < BANKS_HEADER_BYTES || dataBytes > maxEventBytes) return false
  return body.length < BANKS_HEADER_BYTES || hasUsualFlags(u32(body, 4))
}

/** A dump is JSON, XML or the old `[/path]` text. */
const isDumpText = (body: Uint8Array): boolean =>
  body.length === 0 || body[0] === 0x7b || body[0] === 0x3c || body[0] === 0x5b

function isBigEndian(start: Uint8Array): boolean {
  if (start.length < 4) return false
  const view = new DataView(start.buffer, start.byteOffset, start.length)
  const id = view.getUint16(0)
  if ((id === EVENT_BEGIN_OF_RUN || id === EVENT_END_OF_RUN) && view.getUint16(2) === MIDAS_MAGIC) return true
  if (start.length < START_BYTES) return false
  return view.getUint32(12) === view.getUint32(16) + BANKS_HEADER_BYTES && hasUsualFlags(view.getUint32(20))
}

/** First bytes of file types that are mistaken for runs. */
const KNOWN_SIGNATURES: readonly (readonly [signature: string, name: string])[] = [
  ['root', 'a ROOT file'],
  ['HSDF', 'a MIDAS history file'],
  ['HSDA', 'a MIDAS history file'],
  ['\x28\xb5\x2f\xfd', 'zstd, a compression MIDAS does not write'],
  ['\xfd7zXZ\x00', 'xz, a compression MIDAS does not write'],
  ['\x02\x21\x4c\x18', 'the legacy lz4 format, not the lz4 frames that MIDAS writes'],
  ['PK\x03\x04', 'a ZIP archive'],
  ['\x1f\x8b', 'gzip'],
  ['\x04\x22\x4d\x18', 'lz4'],
  ['BZh', 'bzip2'],
  ['<?xml', 'XML'],
  ['<!DOCTYPE', 'a web page'],
  ['<html', 'a web page'],
  ['{', 'JSON'],
]

/** "it starts with the bytes 72 6f 6f 74 …, which is a ROOT file". */
function describeStart(start: Uint8Array): string {
  const bytes = Array.from(start.subarray(0, 16))
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
  const text = String.fromCharCode(...bytes)
  const name = bytes.every((byte) => byte === 0)
    ? 'zeros'
    : KNOWN_SIGNATURES.find(([signature]) => text.startsWith(signature))?.[1]
  return `it starts with the bytes ${hex}${name === undefined ? '' : ` (${name})`}`
}

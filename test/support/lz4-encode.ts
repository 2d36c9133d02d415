/** Encodes lz4 frames of every kind that the format has. */
import { xxh32 } from '../../shared/midas/decompress/xxh32.ts'
import { concat } from './midas-run.ts'

const u32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

export interface Lz4Options {
  readonly linked?: boolean
  readonly blockChecksums?: boolean
  readonly contentChecksum?: boolean
  readonly contentSize?: boolean
  /** Size of the uncompressed blocks, bytes, at most 65536. */
  readonly blockBytes?: number
  /** Stores the blocks without compression. */
  readonly stored?: boolean
}

/** A sequence: literals, then (unless it is the last) a copy of `length` bytes from `distance` back. */
export function sequence(
  literals: Uint8Array,
  match?: { readonly distance: number; readonly length: number },
): Uint8Array {
  const extra = (value: number): number[] =>
    value < 15 ? [] : [...Array(Math.floor((value - 15) / 255)).fill(255), (value - 15) % 255]
  const copied = match === undefined ? 0 : match.length - 4
  const token = (Math.min(literals.length, 15) << 4) | Math.min(copied, 15)
  const head = Uint8Array.of(token, ...extra(literals.length))
  if (match === undefined) return concat(head, literals)
  return concat(head, literals, Uint8Array.of(match.distance & 0xff, match.distance >>> 8, ...extra(copied)))
}

/**
 * Compresses a block with a simple search: repeats of at least eight bytes from their last occurrence.
 */
function lz4Block(window: Uint8Array, start: number): Uint8Array {
  const sequences: Uint8Array[] = []
  const seen = new Map<number, number>()
  const view = new DataView(window.buffer, window.byteOffset, window.length)
  for (let at = 0; at + 4 <= start; at += 1) seen.set(view.getUint32(at, true), at)
  let literal = start
  for (let at = start; at + 12 <= window.length; ) {
    const key = view.getUint32(at, true)
    const from = seen.get(key)
    seen.set(key, at)
    let length = 0
    if (from !== undefined && at - from <= 65535)
      while (at + length < window.length - 5 && window[from + length] === window[at + length]) length += 1
    if (from === undefined || length < 8) {
      at += 1
      continue
    }
    sequences.push(sequence(window.subarray(literal, at), { distance: at - from, length }))
    at += length
    literal = at
  }
  return concat(...sequences, sequence(window.subarray(literal)))
}

export function lz4Header(options: Lz4Options, contentBytes: number): Uint8Array {
  const { linked = true, blockChecksums = false, contentChecksum = true, contentSize = false } = options
  const flags =
    0x40 |
    (linked ? 0 : 0x20) |
    (blockChecksums ? 0x10 : 0) |
    (contentSize ? 8 : 0) |
    (contentChecksum ? 4 : 0)
  const descriptor = concat(Uint8Array.of(flags, 0x40), ...(contentSize ? [u32(contentBytes), u32(0)] : []))
  return concat(u32(0x184d2204), descriptor, Uint8Array.of((xxh32(descriptor) >>> 8) & 0xff))
}

export function lz4(bytes: Uint8Array, options: Lz4Options = {}): Uint8Array {
  const {
    linked = true,
    blockChecksums = false,
    contentChecksum = true,
    blockBytes = 65536,
    stored = false,
  } = options
  const pieces = [lz4Header(options, bytes.length)]
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const plain = bytes.subarray(at, at + blockBytes)
    const history = linked ? Math.min(at, 65536) : 0
    const packed = stored ? plain : lz4Block(bytes.slice(at - history, at + plain.length), history)
    const size = stored ? (plain.length | 0x80000000) >>> 0 : packed.length
    pieces.push(u32(size), packed, ...(blockChecksums ? [u32(xxh32(packed))] : []))
  }
  return concat(...pieces, u32(0), ...(contentChecksum ? [u32(xxh32(bytes))] : []))
}

export const skippableFrame = (content: Uint8Array): Uint8Array =>
  concat(u32(0x184d2a53), u32(content.length), content)

/** The Huffman tables of a bzip2 block. */
import type { BitReader } from './bit-reader.ts'

const MAX_CODE_BITS = 20
/** Codes up to this length are decoded in one step. */
const FAST_BITS = 10

/** Thrown for an invalid block. */
export class Bzip2Error extends Error {}

/** Decodes the symbols of one canonical Huffman code. */
export class HuffmanTable {
  /** For each possible next FAST_BITS bits: symbol * 32 + length, or 0 where the code is longer. */
  readonly #fast = new Uint16Array(1 << FAST_BITS)
  /**
   * Last code of each length, -1 if there is none; and the difference between a code and its index in
   * `#symbols`.
   */
  readonly #lastCode = new Int32Array(MAX_CODE_BITS + 2).fill(-1)
  readonly #shift = new Int32Array(MAX_CODE_BITS + 2)
  readonly #symbols: Uint16Array

  constructor(lengths: Uint8Array) {
    this.#symbols = new Uint16Array(lengths.length)
    let code = 0
    let place = 0
    for (let length = 1; length <= MAX_CODE_BITS; length += 1) {
      const first = code
      this.#shift[length] = first - place
      for (let symbol = 0; symbol < lengths.length; symbol += 1) {
        if (lengths[symbol] !== length) continue
        this.#symbols[place++] = symbol
        if (length <= FAST_BITS && code < 1 << length) {
          const start = code << (FAST_BITS - length)
          this.#fast.fill(symbol * 32 + length, start, start + (1 << (FAST_BITS - length)))
        }
        code += 1
      }
      if (code > first) this.#lastCode[length] = code - 1
      code *= 2
    }
  }

  /** @throws OutOfBits, Bzip2Error when no code matches the bits. */
  symbol(bits: BitReader): number {
    const fast = this.#fast[bits.peek(FAST_BITS)] as number
    if (fast !== 0) {
      bits.read(fast & 31)
      return fast >>> 5
    }
    let code = 0
    for (let length = 1; length <= MAX_CODE_BITS; length += 1) {
      code = code * 2 + bits.read(1)
      const place = code - (this.#shift[length] as number)
      if (code <= (this.#lastCode[length] as number) && place >= 0) return this.#symbols[place] as number
    }
    throw new Bzip2Error('a code that does not exist')
  }
}

/** Code lengths as encoded by bzip2: the first, then for each symbol steps up and down. */
export function readCodeLengths(bits: BitReader, symbols: number): Uint8Array {
  const lengths = new Uint8Array(symbols)
  let length = bits.read(5)
  for (let symbol = 0; symbol < symbols; symbol += 1) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_BITS) throw new Bzip2Error('a code length that does not exist')
      if (bits.read(1) === 0) break
      length += bits.read(1) === 0 ? 1 : -1
    }
    lengths[symbol] = length
  }
  return lengths
}

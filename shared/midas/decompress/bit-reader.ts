/** Reads bits, most significant first, from available bytes. */

/** Thrown when the bits run out. */
export class OutOfBits extends Error {}

export class BitReader {
  readonly #bytes: Uint8Array
  #next: number
  #buffer = 0
  #buffered = 0

  /** @param bitOffset bits to skip first, 0 to 7. */
  constructor(bytes: Uint8Array, bitOffset: number) {
    this.#bytes = bytes
    this.#next = 0
    if (bitOffset > 0) this.read(bitOffset)
  }

  /** Bits read so far, including skipped ones. */
  get position(): number {
    return this.#next * 8 - this.#buffered
  }

  /** The next `count` bits, 1 to 24, as a number. @throws OutOfBits */
  read(count: number): number {
    while (this.#buffered < count) {
      if (this.#next >= this.#bytes.length) throw new OutOfBits('there are no more bits')
      this.#buffer = ((this.#buffer << 8) | (this.#bytes[this.#next++] as number)) >>> 0
      this.#buffered += 8
    }
    this.#buffered -= count
    return (this.#buffer >>> this.#buffered) & ((1 << count) - 1)
  }

  /** The next `count` bits, 1 to 24, without consuming them; bits beyond the end are zeros. */
  peek(count: number): number {
    while (this.#buffered < count) {
      if (this.#next >= this.#bytes.length)
        return ((this.#buffer & ((1 << this.#buffered) - 1)) << (count - this.#buffered)) & ((1 << count) - 1)
      this.#buffer = ((this.#buffer << 8) | (this.#bytes[this.#next++] as number)) >>> 0
      this.#buffered += 8
    }
    return (this.#buffer >>> (this.#buffered - count)) & ((1 << count) - 1)
  }

  /** An unsigned 32-bit number. @throws OutOfBits */
  readU32(): number {
    return this.read(16) * 65536 + this.read(16)
  }
}

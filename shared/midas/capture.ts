/** Keeps the bytes of one small part of a stream that is wanted whole: an ODB dump, a digitizer header. */
export class Capture {
  #bytes = new Uint8Array(0)
  #length = 0
  readonly #limit: number

  /** @param limit bytes wanted; what comes beyond is dropped. */
  constructor(limit: number) {
    this.#limit = limit
  }

  add(piece: Uint8Array): void {
    const taken = Math.min(piece.length, this.#limit - this.#length)
    if (taken <= 0) return
    if (this.#length + taken > this.#bytes.length) {
      // Grows with what really comes: a size that a damaged header claims costs nothing.
      const grown = new Uint8Array(
        Math.min(this.#limit, Math.max(4096, 2 * this.#bytes.length, this.#length + taken)),
      )
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    this.#bytes.set(piece.subarray(0, taken), this.#length)
    this.#length += taken
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }
}

/** Collects one small part of a stream as a whole: an ODB dump, a digitizer header. */
export class Capture {
  #bytes = new Uint8Array(0)
  #length = 0
  readonly #limit: number

  /** @param limit bytes to collect; any beyond are dropped. */
  constructor(limit: number) {
    this.#limit = limit
  }

  add(piece: Uint8Array): void {
    const taken = Math.min(piece.length, this.#limit - this.#length)
    if (taken <= 0) return
    if (this.#length + taken > this.#bytes.length) {
      // Grows with the actual data: a size claimed by a damaged header costs nothing.
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

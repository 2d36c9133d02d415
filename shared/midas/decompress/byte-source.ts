/** A stream of bytes for decompressors: peek, take, give back, and the current offset. */
export class ByteSource {
  readonly #input: AsyncIterator<Uint8Array>
  #pieces: Uint8Array[] = []
  #available = 0
  #position = 0
  #ended = false

  /** @param input pieces must not be changed after they were passed. */
  constructor(input: AsyncIterator<Uint8Array>) {
    this.#input = input
  }

  /** Offset of the next byte in the stream. */
  get position(): number {
    return this.#position
  }

  /** Bytes available without waiting. */
  get available(): number {
    return this.#available
  }

  /** Waits until `count` bytes are available; false when the stream ends before. */
  async fill(count: number): Promise<boolean> {
    while (this.#available < count && !this.#ended) {
      const next = await this.#input.next()
      if (next.done === true) this.#ended = true
      else if (next.value.length > 0) {
        this.#pieces.push(next.value)
        this.#available += next.value.length
      }
    }
    return this.#available >= count
  }

  /** The next available bytes in one piece, at most `count`, without consuming them. */
  peek(count: number): Uint8Array {
    const [first] = this.#pieces
    if (first === undefined) return new Uint8Array(0)
    if (first.length >= Math.min(count, this.#available)) return first.subarray(0, count)
    const all = Buffer.concat(this.#pieces, this.#available)
    this.#pieces = [all]
    return all.subarray(0, count)
  }

  /** The next bytes, at most `count`, as they arrive; null at the end of the stream. */
  async take(count: number): Promise<Uint8Array | null> {
    if (this.#available === 0) await this.fill(1)
    const [first] = this.#pieces
    if (first === undefined) return null
    if (first.length <= count) this.#pieces.shift()
    else this.#pieces[0] = first.subarray(count)
    const taken = first.length <= count ? first : first.subarray(0, count)
    this.#available -= taken.length
    this.#position += taken.length
    return taken
  }

  /** Skips bytes; false when the stream ends before. */
  async skip(count: number): Promise<boolean> {
    let left = count
    while (left > 0) {
      const taken = await this.take(left)
      if (taken === null) return false
      left -= taken.length
    }
    return true
  }

  /** Returns the bytes that were taken last. */
  unread(pieces: readonly Uint8Array[]): void {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    this.#pieces.unshift(...pieces.filter((piece) => piece.length > 0))
    this.#available += bytes
    this.#position -= bytes
  }
}

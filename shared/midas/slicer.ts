/**
 * Cuts a stream that comes in pieces of any size into headers and the data between them, without holding the
 * data.
 */
import type { Capture } from './capture.ts'

/** Says how long the next header is and what it means. */
export interface Grammar {
  /** Bytes of the header expected next; 0 when nothing more is wanted: then the rest is passed over. */
  readonly headerBytes: number
  /** Takes the data being passed over, while it is set. */
  readonly capture: Capture | null
  /**
   * Reads the header at `at` in `bytes`, which is at `position` in the stream; returns the data bytes to pass
   * over behind it.
   */
  header(bytes: Uint8Array, at: number, position: number): number
  /**
   * The data behind the header were passed over (also when there were none); returns how many more to pass
   * over before the next header.
   */
  passed(): number
}

const LONGEST_HEADER_BYTES = 16

export class Slicer {
  readonly #grammar: Grammar
  readonly #held = new Uint8Array(LONGEST_HEADER_BYTES)
  #heldBytes = 0
  #toPass = 0
  #position = 0

  constructor(grammar: Grammar) {
    this.#grammar = grammar
  }

  /** Bytes seen so far. */
  get position(): number {
    return this.#position
  }

  /** Bytes of an unfinished header. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Data bytes announced and still to come. */
  get toPass(): number {
    return this.#toPass
  }

  /** Takes the next piece; it is not kept. */
  push(piece: Uint8Array): void {
    const grammar = this.#grammar
    const start = this.#position
    let at = 0
    while (at < piece.length) {
      if (this.#toPass > 0) {
        const taken = Math.min(this.#toPass, piece.length - at)
        grammar.capture?.add(piece.subarray(at, at + taken))
        at += taken
        this.#toPass -= taken
        if (this.#toPass === 0) this.#toPass = grammar.passed()
        continue
      }
      const wanted = grammar.headerBytes
      if (wanted === 0) break
      if (this.#heldBytes === 0 && piece.length - at >= wanted) {
        at += wanted
        this.#read(piece, at - wanted, start + at - wanted)
        continue
      }
      const taken = Math.min(wanted - this.#heldBytes, piece.length - at)
      this.#held.set(piece.subarray(at, at + taken), this.#heldBytes)
      this.#heldBytes += taken
      at += taken
      if (this.#heldBytes < wanted) break
      this.#heldBytes = 0
      this.#read(this.#held, 0, start + at - wanted)
    }
    this.#position = start + piece.length
  }

  #read(bytes: Uint8Array, at: number, position: number): void {
    this.#toPass = this.#grammar.header(bytes, at, position)
    if (this.#toPass === 0) this.#toPass = this.#grammar.passed()
  }
}

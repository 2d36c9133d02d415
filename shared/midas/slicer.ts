/**
 * Splits a stream, received in pieces of any size, into headers and the data between them, without storing
 * the data.
 */
import type { Capture } from './capture.ts'

/** Defines the length and the meaning of the next header. */
export interface Grammar {
  /** Length of the next header; 0 when no more are needed: then the rest is skipped. */
  readonly headerBytes: number
  /** Receives the skipped data while it is set. */
  readonly capture: Capture | null
  /**
   * Reads the header at `at` in `bytes`, which is at `position` in the stream; returns the number of data
   * bytes to skip after it.
   */
  header(bytes: Uint8Array, at: number, position: number): number
  /**
   * Called after the data of a header were skipped (also when there were none); returns how many more to skip
   * before the next header.
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

  /** Announced data bytes that are still to come. */
  get toPass(): number {
    return this.#toPass
  }

  /** Reads the next piece; it is not kept. */
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

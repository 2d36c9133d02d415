/** XXH32 (Yann Collet's xxHash, 32 bits): the checksum inside lz4 frames. */

const PRIME1 = 0x9e3779b1
const PRIME2 = 0x85ebca77
const PRIME3 = 0xc2b2ae3d
const PRIME4 = 0x27d4eb2f
const PRIME5 = 0x165667b1
const STRIPE_BYTES = 16

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits))
const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) |
  ((bytes[at + 1] as number) << 8) |
  ((bytes[at + 2] as number) << 16) |
  ((bytes[at + 3] as number) << 24)
const round = (lane: number, input: number): number =>
  Math.imul(rotate((lane + Math.imul(input, PRIME2)) | 0, 13), PRIME1)

/** The hash of bytes that arrive in pieces, seed 0. */
export class Xxh32 {
  #lane1 = (PRIME1 + PRIME2) | 0
  #lane2 = PRIME2 | 0
  #lane3 = 0
  #lane4 = -PRIME1 | 0
  #totalBytes = 0
  readonly #held = new Uint8Array(STRIPE_BYTES)
  #heldBytes = 0

  update(bytes: Uint8Array): void {
    this.#totalBytes += bytes.length
    let at = 0
    if (this.#heldBytes > 0) {
      at = Math.min(STRIPE_BYTES - this.#heldBytes, bytes.length)
      this.#held.set(bytes.subarray(0, at), this.#heldBytes)
      this.#heldBytes += at
      if (this.#heldBytes < STRIPE_BYTES) return
      this.#stripes(this.#held, 0, STRIPE_BYTES)
      this.#heldBytes = 0
    }
    const end = at + Math.floor((bytes.length - at) / STRIPE_BYTES) * STRIPE_BYTES
    this.#stripes(bytes, at, end)
    this.#held.set(bytes.subarray(end))
    this.#heldBytes = bytes.length - end
  }

  #stripes(bytes: Uint8Array, start: number, end: number): void {
    let lane1 = this.#lane1
    let lane2 = this.#lane2
    let lane3 = this.#lane3
    let lane4 = this.#lane4
    for (let at = start; at < end; at += STRIPE_BYTES) {
      lane1 = round(lane1, word(bytes, at))
      lane2 = round(lane2, word(bytes, at + 4))
      lane3 = round(lane3, word(bytes, at + 8))
      lane4 = round(lane4, word(bytes, at + 12))
    }
    this.#lane1 = lane1
    this.#lane2 = lane2
    this.#lane3 = lane3
    this.#lane4 = lane4
  }

  /** The hash of everything so far, an unsigned 32-bit number. */
  digest(): number {
    const lanes =
      rotate(this.#lane1, 1) + rotate(this.#lane2, 7) + rotate(this.#lane3, 12) + rotate(this.#lane4, 18)
    let hash = this.#totalBytes >= STRIPE_BYTES ? lanes | 0 : PRIME5
    hash = (hash + this.#totalBytes) | 0
    let at = 0
    for (; at + 4 <= this.#heldBytes; at += 4)
      hash = Math.imul(rotate((hash + Math.imul(word(this.#held, at), PRIME3)) | 0, 17), PRIME4)
    for (; at < this.#heldBytes; at += 1)
      hash = Math.imul(rotate((hash + Math.imul(this.#held[at] ?? 0, PRIME5)) | 0, 11), PRIME1)
    hash = Math.imul(hash ^ (hash >>> 15), PRIME2)
    hash = Math.imul(hash ^ (hash >>> 13), PRIME3)
    return (hash ^ (hash >>> 16)) >>> 0
  }
}

/** The hash of one piece. */
export function xxh32(bytes: Uint8Array): number {
  const hash = new Xxh32()
  hash.update(bytes)
  return hash.digest()
}

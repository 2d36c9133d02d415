/**
 * A bzip2 compressor for small inputs, so that tests need no bzip2 program. It is slow and compresses badly,
 * but its output is valid.
 */

class BitWriter {
  #bytes: number[] = []
  #bits = 0
  #count = 0

  write(count: number, value: number): void {
    for (let bit = count - 1; bit >= 0; bit -= 1) {
      this.#bits = (this.#bits << 1) | (Math.floor(value / 2 ** bit) % 2)
      this.#count += 1
      if (this.#count === 8) {
        this.#bytes.push(this.#bits)
        this.#bits = 0
        this.#count = 0
      }
    }
  }

  finish(): Uint8Array {
    while (this.#count !== 0) this.write(1, 0)
    return Uint8Array.from(this.#bytes)
  }
}

function crc(bytes: Uint8Array): number {
  let value = 0xffffffff
  for (const byte of bytes) {
    value ^= byte << 24
    for (let bit = 0; bit < 8; bit += 1)
      value = (value & 0x80000000) !== 0 ? (value << 1) ^ 0x04c11db7 : value << 1
  }
  return ~value >>> 0
}

/** Four equal bytes are followed by the count of further ones. */
function runLengths(bytes: Uint8Array): number[] {
  const out: number[] = []
  for (let at = 0; at < bytes.length; ) {
    let run = 1
    while (run < 255 && at + run < bytes.length && bytes[at + run] === bytes[at]) run += 1
    for (let i = 0; i < Math.min(run, 4); i += 1) out.push(bytes[at] ?? 0)
    if (run >= 4) out.push(run - 4)
    at += run
  }
  return out
}

function writeBlock(bits: BitWriter, plain: Uint8Array): number {
  const data = runLengths(plain)
  const rotations = data.map((_, index) => index)
  const count = data.length
  rotations.sort((a, b) => {
    for (let i = 0; i < count; i += 1) {
      const difference = (data[(a + i) % count] ?? 0) - (data[(b + i) % count] ?? 0)
      if (difference !== 0) return difference
    }
    return a - b
  })
  const last = rotations.map((start) => data[(start + count - 1) % count] ?? 0)
  const used = [...new Set(data)].sort((a, b) => a - b)
  const symbols = moveToFront(last, used)
  const length = Math.max(1, Math.ceil(Math.log2(used.length + 2)))
  const blockCrc = crc(plain)
  bits.write(24, 0x314159)
  bits.write(24, 0x265359)
  bits.write(32, blockCrc)
  bits.write(1, 0)
  bits.write(24, rotations.indexOf(0))
  for (let group = 0; group < 16; group += 1) bits.write(1, used.some((byte) => byte >>> 4 === group) ? 1 : 0)
  for (let group = 0; group < 16; group += 1)
    if (used.some((byte) => byte >>> 4 === group))
      for (let member = 0; member < 16; member += 1) bits.write(1, used.includes(16 * group + member) ? 1 : 0)
  const selectors = Math.ceil(symbols.length / 50)
  bits.write(3, 2)
  bits.write(15, selectors)
  // The two tables alternate, so that the move-to-front of the selectors is tested.
  for (let selector = 0; selector < selectors; selector += 1)
    bits.write(selector === 0 ? 1 : 2, selector === 0 ? 0 : 2)
  for (let table = 0; table < 2; table += 1) {
    bits.write(5, length)
    for (let symbol = 0; symbol < used.length + 2; symbol += 1) bits.write(1, 0)
  }
  for (const symbol of symbols) bits.write(length, symbol)
  return blockCrc
}

/**
 * Positions in the list of recently seen bytes, runs of the first position as RUN_A and RUN_B, and the end.
 */
function moveToFront(data: readonly number[], used: readonly number[]): number[] {
  const front = [...used]
  const out: number[] = []
  let run = 0
  const flush = (): void => {
    for (let left = run; left > 0; left = Math.floor((left - 1) / 2)) out.push((left - 1) % 2)
    run = 0
  }
  for (const byte of data) {
    const place = front.indexOf(byte)
    if (place === 0) run += 1
    else {
      flush()
      out.push(place + 1)
      front.splice(place, 1)
      front.unshift(byte)
    }
  }
  flush()
  out.push(used.length + 1)
  return out
}

/** One bzip2 stream of blocks of at most `blockBytes` bytes. */
export function bzip2(bytes: Uint8Array, blockBytes = 20_000): Uint8Array {
  const bits = new BitWriter()
  for (const character of 'BZh1') bits.write(8, character.charCodeAt(0))
  let streamCrc = 0
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const blockCrc = writeBlock(bits, bytes.subarray(at, at + blockBytes))
    streamCrc = (((streamCrc << 1) | (streamCrc >>> 31)) ^ blockCrc) >>> 0
  }
  bits.write(24, 0x177245)
  bits.write(24, 0x385090)
  bits.write(32, streamCrc)
  return bits.finish()
}

/**
 * One bzip2 block: Huffman codes, move-to-front, run lengths, and the inverse of the Burrows-Wheeler
 * transform. The format follows the public description of bzip2's author (Julian Seward); randomised blocks,
 * obsolete since 1999, are refused.
 */
import type { BitReader } from './bit-reader.ts'
import { Bzip2Error, HuffmanTable, readCodeLengths } from './bzip2-huffman.ts'
import type { Sink } from './decoder.ts'

const SYMBOLS_PER_SELECTOR = 50
const RUN_A = 0
const RUN_B = 1

/** CRC-32 with the most significant bit first, polynomial 0x04c11db7. */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let bit = 0; bit < 8; bit += 1) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1
  return crc
})

/** Decodes blocks one after the other, in memory that is allocated once. */
export class Bzip2Blocks {
  /**
   * The transformed block: the data are in the low byte of each word, the index of the next word above it.
   */
  readonly #words: Uint32Array
  #count = 0
  #origin = 0
  readonly #output = new Uint8Array(256 * 1024)

  /** @param level 1 to 9: the block size in units of 100,000 bytes. */
  constructor(level: number) {
    this.#words = new Uint32Array(level * 100_000)
  }

  /** Reads a block after its magic number and CRC. @throws OutOfBits, Bzip2Error */
  read(bits: BitReader): void {
    if (bits.read(1) === 1) throw new Bzip2Error('a randomised block, obsolete since 1999')
    this.#origin = bits.read(24)
    const bytes = readUsedBytes(bits)
    const tableCount = bits.read(3)
    if (tableCount < 2 || tableCount > 6) throw new Bzip2Error('a number of code tables that is not allowed')
    const selectors = readSelectors(bits, tableCount)
    const tables = Array.from(
      { length: tableCount },
      () => new HuffmanTable(readCodeLengths(bits, bytes.length + 2)),
    )
    this.#readSymbols(bits, bytes, selectors, tables)
    if (this.#origin >= this.#count) throw new Bzip2Error('a block whose start lies outside of it')
    this.#invert()
  }

  #readSymbols(
    bits: BitReader,
    used: readonly number[],
    selectors: Uint8Array,
    tables: readonly HuffmanTable[],
  ): void {
    const words = this.#words
    const front = Uint8Array.from(used)
    const endOfBlock = used.length + 1
    let count = 0
    let group = 0
    let left = 0
    let table: HuffmanTable | undefined
    let run = 0
    let runWeight = 1
    for (;;) {
      if (left === 0) {
        table = tables[selectors[group] ?? -1]
        group += 1
        left = SYMBOLS_PER_SELECTOR
      }
      if (table === undefined) throw new Bzip2Error('more codes than were announced')
      left -= 1
      const symbol = table.symbol(bits)
      if (symbol === RUN_A || symbol === RUN_B) {
        // Bijective base 2: RUN_A adds the weight once, RUN_B twice.
        run += symbol === RUN_A ? runWeight : 2 * runWeight
        runWeight *= 2
        if (run > words.length) throw new Bzip2Error('a block larger than announced')
        continue
      }
      if (run > 0) {
        if (count + run > words.length) throw new Bzip2Error('a block larger than announced')
        words.fill(front[0] as number, count, count + run)
        count += run
        run = 0
        runWeight = 1
      }
      if (symbol === endOfBlock) break
      if (count >= words.length) throw new Bzip2Error('a block larger than announced')
      const place = symbol - 1
      const byte = front[place] as number
      front.copyWithin(1, 0, place)
      front[0] = byte
      words[count++] = byte
    }
    this.#count = count
  }

  #invert(): void {
    const words = this.#words
    const count = this.#count
    const starts = new Uint32Array(256)
    for (let i = 0; i < count; i += 1)
      starts[(words[i] as number) & 0xff] = (starts[(words[i] as number) & 0xff] as number) + 1
    let sum = 0
    for (let byte = 0; byte < 256; byte += 1) {
      const occurrences = starts[byte] as number
      starts[byte] = sum
      sum += occurrences
    }
    for (let i = 0; i < count; i += 1) {
      const byte = (words[i] as number) & 0xff
      const place = starts[byte] as number
      starts[byte] = place + 1
      words[place] = (words[place] as number) | (i << 8)
    }
  }

  /**
   * Passes the block's data to `sink`: four equal bytes are followed by a count of further ones. Returns the
   * CRC of the output.
   */
  write(sink: Sink): number {
    const words = this.#words
    const output = this.#output
    let place = (words[this.#origin] as number) >>> 8
    let crc = -1
    let at = 0
    let previous = -1
    let equal = 0
    for (let i = 0; i < this.#count; i += 1) {
      const word = words[place] as number
      const byte = word & 0xff
      place = word >>> 8
      let repeat = 1
      let value = byte
      if (equal === 4) {
        repeat = byte
        value = previous
        equal = 0
        previous = -1
      } else {
        equal = byte === previous ? equal + 1 : 1
        previous = byte
      }
      if (at + repeat > output.length) {
        sink(output.subarray(0, at))
        at = 0
      }
      for (let r = 0; r < repeat; r += 1) {
        output[at++] = value
        crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ value] as number)
      }
    }
    sink(output.subarray(0, at))
    return ~crc >>> 0
  }
}

function readUsedBytes(bits: BitReader): number[] {
  const used: number[] = []
  const groups = bits.read(16)
  for (let group = 0; group < 16; group += 1) {
    if ((groups & (0x8000 >>> group)) === 0) continue
    const members = bits.read(16)
    for (let member = 0; member < 16; member += 1)
      if ((members & (0x8000 >>> member)) !== 0) used.push(16 * group + member)
  }
  if (used.length === 0) throw new Bzip2Error('a block without bytes')
  return used
}

/** Which table each group of 50 symbols uses, moved to front and in unary. */
function readSelectors(bits: BitReader, tableCount: number): Uint8Array {
  const count = bits.read(15)
  if (count === 0) throw new Bzip2Error('a block without codes')
  const selectors = new Uint8Array(count)
  const front = Array.from({ length: tableCount }, (_, table) => table)
  for (let i = 0; i < count; i += 1) {
    let place = 0
    while (bits.read(1) === 1) {
      place += 1
      if (place >= tableCount) throw new Bzip2Error('a code table that does not exist')
    }
    const [table = 0] = front.splice(place, 1)
    front.unshift(table)
    selectors[i] = table
  }
  return selectors
}

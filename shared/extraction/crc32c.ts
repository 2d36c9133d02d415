/** CRC-32C (Castagnoli), the checksum of MIDAS's sidecar files and of S3, eight bytes at a time. */

const POLYNOMIAL = 0x82f63b78

/** TABLES[k][byte]: the CRC of a byte followed by k zero bytes. */
const TABLES: readonly Int32Array[] = (() => {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    return crc
  })
  const tables = [first]
  for (let zeros = 1; zeros < 8; zeros += 1) {
    const previous = tables[zeros - 1] ?? first
    tables.push(previous.map((crc) => (crc >>> 8) ^ (first[crc & 0xff] as number)))
  }
  return tables
})()

/** Continues a CRC-32C (0 at the start) with more bytes; an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ]
  let crc = ~previous
  let at = 0
  for (; at + 8 <= bytes.length; at += 8) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    crc =
      (t7[crc & 0xff] as number) ^
      (t6[(crc >>> 8) & 0xff] as number) ^
      (t5[(crc >>> 16) & 0xff] as number) ^
      (t4[crc >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number)
  }
  for (; at < bytes.length; at += 1) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[at] as number)) & 0xff] as number)
  return ~crc >>> 0
}

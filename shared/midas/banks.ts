/** Bank headers, and counts and bytes per bank name. */
import { u16, u32 } from './events.ts'
import type { BankFormat } from './format.ts'

export interface BankHeader {
  /** The four bytes of the name as one little-endian number. */
  readonly nameCode: number
  readonly type: number
  /** Without the padding. */
  readonly sizeBytes: number
}

/** The header in the 8, 12 or 16 bytes at `at`. */
export function readBankHeader(bytes: Uint8Array, at: number, format: BankFormat): BankHeader {
  const nameCode = u32(bytes, at)
  if (format === 'bank16') return { nameCode, type: u16(bytes, at + 4), sizeBytes: u16(bytes, at + 6) }
  return { nameCode, type: u32(bytes, at + 4), sizeBytes: u32(bytes, at + 8) }
}

/** A name's four bytes as a number, to compare with `BankHeader.nameCode`. */
export function bankNameCode(name: string): number {
  return u32(
    Uint8Array.from(name, (character) => character.charCodeAt(0)),
    0,
  )
}

/**
 * The name as text: bytes that are not printable ASCII, and the backslash, are written as \xNN, so that
 * different names have different texts.
 */
export function bankName(nameCode: number): string {
  let name = ''
  for (let shift = 0; shift < 32; shift += 8) {
    const byte = (nameCode >>> shift) & 0xff
    name +=
      byte > 0x20 && byte < 0x7f && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return name
}

/** Most distinct names: real runs have about ten; random bytes read as banks would add one each. */
export const MAX_BANK_NAMES = 1000

interface Entry {
  count: number
  bytes: number
  /** For the event being read, which may not be complete. */
  pendingCount: number
  pendingBytes: number
}

/** Counts banks by name. The banks of an event count once the whole event was read. */
export class BankTally {
  readonly #entries = new Map<number, Entry>()
  /** Name codes of the event being read. */
  #touched: number[] = []

  /**
   * Records a bank of the event being read. Returns false for names beyond `MAX_BANK_NAMES`, which are not
   * counted.
   */
  add(nameCode: number, sizeBytes: number): boolean {
    let entry = this.#entries.get(nameCode)
    if (entry === undefined) {
      if (this.#entries.size >= MAX_BANK_NAMES) return false
      entry = { count: 0, bytes: 0, pendingCount: 0, pendingBytes: 0 }
      this.#entries.set(nameCode, entry)
    }
    if (entry.pendingCount === 0) this.#touched.push(nameCode)
    entry.pendingCount += 1
    entry.pendingBytes += sizeBytes
    return true
  }

  /** The event is complete: its banks count. */
  commit(): void {
    for (const nameCode of this.#touched) {
      const entry = this.#entries.get(nameCode)
      if (entry === undefined) continue
      entry.count += entry.pendingCount
      entry.bytes += entry.pendingBytes
      entry.pendingCount = 0
      entry.pendingBytes = 0
    }
    this.#touched.length = 0
  }

  /** The event is damaged or cut: its banks do not count, and names seen only in it are dropped. */
  rollback(): void {
    for (const nameCode of this.#touched) {
      const entry = this.#entries.get(nameCode)
      if (entry === undefined) continue
      entry.pendingCount = 0
      entry.pendingBytes = 0
      if (entry.count === 0) this.#entries.delete(nameCode)
    }
    this.#touched.length = 0
  }

  /** Name (escaped) → count and bytes, in the order the names first appeared. */
  statistics(): Record<string, { count: number; bytes: number }> {
    return Object.fromEntries(
      [...this.#entries].map(([nameCode, { count, bytes }]) => [bankName(nameCode), { count, bytes }]),
    )
  }
}

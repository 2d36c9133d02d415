/** Writes MIDAS events as the experiment's logger does, for the simulator and for tests. */
import { InvalidInputError } from '../errors.ts'
import {
  BANK_FLAGS,
  BANK_HEADER_BYTES,
  BANKS_HEADER_BYTES,
  type BankFormat,
  EVENT_HEADER_BYTES,
  paddedBankBytes,
} from './format.ts'

export interface EventToEncode {
  /** 0 to 0xffff. */
  readonly id: number
  /** Trigger mask; `MIDAS_MAGIC` for begin-of-run and end-of-run. */
  readonly mask: number
  /** Serial number; the run number for begin-of-run and end-of-run. */
  readonly serial: number
  /** Unix seconds. */
  readonly timeSeconds: number
  /** Banks (`encodeBanks`), or the text of a dump or message. */
  readonly body: Uint8Array
}

export interface BankToEncode {
  /** Four bytes, one per character (Latin-1). */
  readonly name: string
  /** A type id of tid.ts. */
  readonly type: number
  readonly data: Uint8Array
}

/** One event, header and body. Events follow each other in a file without padding. */
export function encodeEvent(event: EventToEncode): Uint8Array {
  const bytes = new Uint8Array(EVENT_HEADER_BYTES + event.body.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, event.id, true)
  view.setUint16(2, event.mask, true)
  view.setUint32(4, event.serial, true)
  view.setUint32(8, event.timeSeconds, true)
  view.setUint32(12, event.body.length, true)
  bytes.set(event.body, EVENT_HEADER_BYTES)
  return bytes
}

/**
 * The body of an event with banks: size of all banks, flags, then each bank padded to 8 bytes.
 * @param options.padding the byte used for padding; real files contain stale memory there.
 * @throws InvalidInputError for a name that is not four bytes, or a bank too large for 16-bit sizes.
 */
export function encodeBanks(
  format: BankFormat,
  banks: readonly BankToEncode[],
  options: { readonly padding?: number } = {},
): Uint8Array {
  const headerBytes = BANK_HEADER_BYTES[format]
  const allBanksBytes = banks.reduce((sum, bank) => sum + headerBytes + paddedBankBytes(bank.data.length), 0)
  const bytes = new Uint8Array(BANKS_HEADER_BYTES + allBanksBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, allBanksBytes, true)
  view.setUint32(4, BANK_FLAGS[format], true)
  let at = BANKS_HEADER_BYTES
  for (const bank of banks) {
    const name = Uint8Array.from(bank.name, (character) => character.charCodeAt(0))
    if (name.length !== 4)
      throw new InvalidInputError(`a bank name has four characters, not ${JSON.stringify(bank.name)}`)
    bytes.set(name, at)
    if (format === 'bank16') {
      if (bank.data.length > 0xffff)
        throw new InvalidInputError(
          `bank ${bank.name} has ${bank.data.length} bytes, too many for 16-bit banks`,
        )
      view.setUint16(at + 4, bank.type, true)
      view.setUint16(at + 6, bank.data.length, true)
    } else {
      view.setUint32(at + 4, bank.type, true)
      view.setUint32(at + 8, bank.data.length, true)
    }
    at += headerBytes
    bytes.set(bank.data, at)
    bytes.fill(options.padding ?? 0, at + bank.data.length, at + paddedBankBytes(bank.data.length))
    at += paddedBankBytes(bank.data.length)
  }
  return bytes
}

/**
 * Constants of the MIDAS file format (midas.h of the MIDAS data acquisition system, https://midas.triumf.ca).
 * All numbers are little-endian: the byte order of the machines that write the files.
 */

/**
 * Event header: u16 id, u16 trigger mask, u32 serial number, u32 Unix time, u32 data size without these 16
 * bytes.
 */
export const EVENT_HEADER_BYTES = 16

/**
 * Event ids of the data acquisition itself. The mask of begin-of-run and end-of-run is `MIDAS_MAGIC`, their
 * serial the run number.
 */
export const EVENT_BEGIN_OF_RUN = 0x8000
export const EVENT_END_OF_RUN = 0x8001
export const EVENT_MESSAGE = 0x8002
/**
 * An event larger than the buffer is sent in fragments: the upper four bits of the id state which fragment,
 * the lower twelve are the id of the whole event.
 */
export const EVENT_FRAGMENT_FIRST = 0xc000
export const EVENT_FRAGMENT_NEXT = 0xd000
export const EVENT_FRAGMENT_ID_MASK = 0x0fff

/** "MI", the trigger mask of begin-of-run and end-of-run events. */
export const MIDAS_MAGIC = 0x494d

/**
 * Events of the experiment's frontends. Triggers, with the camera frame and the digitizers, are what
 * physicists call events.
 */
export const EVENT_TRIGGER = 1
export const EVENT_HIGH_VOLTAGE = 3
export const EVENT_ENVIRONMENT = 5
export const EVENT_CAMERA_STATUS = 7

/** At the start of a body with banks: u32 size of all banks (without these 8 bytes), u32 flags. */
export const BANKS_HEADER_BYTES = 8

export type BankFormat = 'bank16' | 'bank32' | 'bank32a'

/** The flags that writers set for each format; a reader tests bit 0x20, then bit 0x10. */
export const BANK_FLAGS: Readonly<Record<BankFormat, number>> = { bank16: 0x01, bank32: 0x11, bank32a: 0x31 }

/**
 * Bank header: name[4], then type and size as u16 (bank16) or u32, and for bank32a a reserved u32 that is not
 * initialised.
 */
export const BANK_HEADER_BYTES: Readonly<Record<BankFormat, number>> = { bank16: 8, bank32: 12, bank32a: 16 }

/** Space of a bank's data in the event: its size rounded up to 8, in all formats (also for the last bank). */
export function paddedBankBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 8) * 8
}

/** The format according to an event's flags. */
export function bankFormat(flags: number): BankFormat {
  if ((flags & 0x20) !== 0) return 'bank32a'
  return (flags & 0x10) !== 0 ? 'bank32' : 'bank16'
}

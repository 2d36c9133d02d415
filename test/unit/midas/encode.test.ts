import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../shared/errors.ts'
import { bankName, bankNameCode } from '../../../shared/midas/banks.ts'
import { encodeBanks, encodeEvent } from '../../../shared/midas/encode.ts'
import { readEventHeader } from '../../../shared/midas/events.ts'
import { type BankFormat, bankFormat, paddedBankBytes } from '../../../shared/midas/format.ts'
import { beginOfRun, concat, endOfRun, event, walkStream } from '../../support/midas-run.ts'

const formats: readonly BankFormat[] = ['bank16', 'bank32', 'bank32a']
const bank = fc.record({
  name: fc.string({ minLength: 4, maxLength: 4, unit: fc.constantFrom(...'ABCDGIMNOPTU0123') }),
  type: fc.integer({ min: 1, max: 18 }),
  data: fc.uint8Array({ maxLength: 300 }),
})

describe('what is encoded is read back', () => {
  it.each(formats)(
    'every bank of %s events is counted with its bytes, whatever fills the padding',
    (format) => {
      fc.assert(
        fc.property(
          fc.array(fc.array(bank, { maxLength: 6 }), { maxLength: 5 }),
          fc.integer({ min: 0, max: 255 }),
          (events, padding) => {
            const stream = concat(
              beginOfRun(),
              ...events.map((banks, serial) => event(1, serial, encodeBanks(format, banks, { padding }))),
              endOfRun(),
            )
            const expected: Record<string, { count: number; bytes: number }> = {}
            for (const { name, data } of events.flat()) {
              const entry = expected[name] ?? { count: 0, bytes: 0 }
              expected[name] = { count: entry.count + 1, bytes: entry.bytes + data.length }
            }
            const walked = walkStream(stream)
            expect(walked.banks).toEqual(expected)
            expect(walked.eventCount).toBe(events.length)
            expect(walked.damage).toEqual([])
            expect(walked.ending).toBeNull()
            expect(walked.warnings).toEqual([])
          },
        ),
      )
    },
  )

  it('reads back every field of an event header, also at odd offsets', () => {
    const bytes = encodeEvent({
      id: 0xfffe,
      mask: 0x1234,
      serial: 4_000_000_000,
      timeSeconds: 3_999_999_999,
      body: new Uint8Array(5),
    })
    const expected = {
      id: 0xfffe,
      mask: 0x1234,
      serial: 4_000_000_000,
      timeSeconds: 3_999_999_999,
      dataBytes: 5,
    }
    expect(readEventHeader(concat(new Uint8Array(3), bytes), 3)).toEqual(expected)
  })

  it('rounds the room of a bank up to 8 bytes, for sizes that do not fit 32-bit arithmetic too', () => {
    expect([0, 1, 8, 9, 10_616_832, 0xfffffff9].map(paddedBankBytes)).toEqual([
      0, 8, 8, 16, 10_616_832, 0x100000000,
    ])
  })

  it('tests bit 0x20 of the flags before bit 0x10', () => {
    expect([0x01, 0x11, 0x31, 0x21, 0].map(bankFormat)).toEqual([
      'bank16',
      'bank32',
      'bank32a',
      'bank32a',
      'bank16',
    ])
  })

  it('escapes bank names so that no two look alike', () => {
    expect(bankName(bankNameCode('CAM0'))).toBe('CAM0')
    expect(bankName(bankNameCode('A\\\u00ff\0'))).toBe('A\\x5c\\xff\\x00')
  })

  it('refuses a name that is not four bytes and a bank too large for 16-bit sizes', () => {
    expect(() => encodeBanks('bank16', [{ name: 'CAM', type: 1, data: new Uint8Array(0) }])).toThrow(
      InvalidInputError,
    )
    expect(() => encodeBanks('bank16', [{ name: 'CAM0', type: 1, data: new Uint8Array(65536) }])).toThrow(
      /too many for 16-bit banks/,
    )
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidInputError } from '../../../shared/errors.ts'
import {
  decodeDigitizerHeader,
  digitizerBoards,
  digitizerSampleCount,
} from '../../../shared/midas/digitizer.ts'
import { TID } from '../../../shared/midas/tid.ts'

const dwords = (...words: readonly number[]) => new Uint8Array(Uint32Array.from(words).buffer)
const fast = [1742, 1024, 2, 3, 4096, 750, 13107, 13108, 4_000_000_000, 200, 300, 11, 12, 13]
const slow = [1720, 4000, 1, 2, 4096, 250, 32768, 400, 500]

describe('a digitizer header', () => {
  test('of a fast and a slow board gives offsets, time tags, and start index cells of the fast one alone', () => {
    const header = decodeDigitizerHeader(dwords(2, ...fast, ...slow), TID.uint32)
    expect(header.boards).toEqual([
      {
        ...{
          model: 1742,
          samplesPerChannel: 1024,
          channels: 2,
          triggers: 3,
          resolutionBits: 12,
          samplingMHz: 750,
        },
        ...{
          offsets: [13107, 13108],
          triggerTimeTags: [4_000_000_000, 200, 300],
          startIndexCells: [11, 12, 13],
        },
      },
      {
        ...{
          model: 1720,
          samplesPerChannel: 4000,
          channels: 1,
          triggers: 2,
          resolutionBits: 12,
          samplingMHz: 250,
        },
        ...{ offsets: [32768], triggerTimeTags: [400, 500], startIndexCells: [] },
      },
    ])
    expect(digitizerSampleCount(header)).toBe(3 * 2 * 1024 + 2 * 4000)
    expect(digitizerBoards(header)[1]).toEqual({
      ...{
        model: 1720,
        samplesPerChannel: 4000,
        channels: 1,
        triggers: 2,
        resolutionBits: 12,
        samplingMHz: 250,
      },
    })
  })

  test('of one board, without triggers, or with the resolution given in bits is fine', () => {
    const header = decodeDigitizerHeader(dwords(1, 1742, 1024, 1, 0, 12, 750, 13107), TID.uint32)
    expect(header.boards[0]).toMatchObject({
      triggers: 0,
      resolutionBits: 12,
      triggerTimeTags: [],
      startIndexCells: [],
    })
    expect(digitizerSampleCount(header)).toBe(0)
    expect(decodeDigitizerHeader(dwords(0), TID.uint32).boards).toEqual([])
  })

  test('is read by the type of its bank and from any offset', () => {
    const words = Uint8Array.of(
      0,
      ...new Uint8Array(Uint16Array.of(1, ...slow.map((word) => word & 0xffff)).buffer),
    ).subarray(1)
    expect(decodeDigitizerHeader(words, TID.uint16).boards[0]?.triggerTimeTags).toEqual([400, 500])
    expect(() => decodeDigitizerHeader(dwords(0), TID.float32)).toThrow(/FLOAT, not a whole number/)
  })

  test.each([
    ['nothing', dwords(), /empty/],
    ['no whole word', Uint8Array.of(1, 0, 0), /no whole number of 4-byte words/],
    ['a board of another kind', dwords(1, 1730, 1024, 1, 0, 4096, 500, 0), /model 1730/],
    ['too few words', dwords(1, ...slow.slice(0, -1)), /1 of 2 trigger time tags/],
    ['too many words', dwords(1, ...slow, 0), /11 words where 1 boards need 10/],
    ['a board that is missing', dwords(2, ...slow), /board 2 is missing/],
    ['a billion boards', dwords(1_000_000_000), /announces 1000000000 boards/],
    [
      'a billion triggers',
      dwords(1, 1720, 4000, 1, 1_000_000_000, 4096, 250, 0),
      /announces 1000000000 triggers/,
    ],
  ])('with %s is refused with the reason', (_, data, reason) => {
    expect(() => decodeDigitizerHeader(data, TID.uint32)).toThrow(InvalidInputError)
    expect(() => decodeDigitizerHeader(data, TID.uint32)).toThrow(reason)
  })

  test('of any bytes gives boards or an InvalidInputError', () => {
    const words = fc.array(fc.oneof(fc.constantFrom(0, 1, 2, 1742, 1720), fc.nat(5000), fc.nat(0xffffffff)), {
      maxLength: 40,
    })
    fc.assert(
      fc.property(words, fc.nat(20), (list, type) => {
        try {
          decodeDigitizerHeader(dwords(...list), type)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInputError)
        }
      }),
    )
  })
})

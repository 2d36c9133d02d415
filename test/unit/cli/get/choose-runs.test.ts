import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { missingText } from '../../../../cli/get/choose-runs.ts'

const runs = (...numbers: readonly number[]) => numbers.map((runNumber) => ({ tag: 'LNGS', runNumber }))

describe('the numbers of a range without a run', () => {
  test.each([
    ['all have one', [5, 6, 7], null],
    ['the first', [6, 7], '1 number of it is not in the catalogue: 5'],
    ['the last two', [5], '2 numbers of it are not in the catalogue: 6..7'],
    ['one between', [5, 7], '1 number of it is not in the catalogue: 6'],
    ['both ends', [6], '2 numbers of it are not in the catalogue: 5, 7'],
  ])('%s', (_, numbers, text) => {
    expect(missingText({ from: 5, to: 7 }, runs(...numbers))).toBe(text)
  })

  test('of many missing ranges the first are listed and the others counted', () => {
    const text =
      missingText(
        { from: 1, to: 4_294_967_295 },
        runs(...Array.from({ length: 50 }, (_, index) => 2 * (index + 1))),
      ) ?? ''
    expect(text).toMatch(
      /^4294967245 numbers of it are not in the catalogue: 1, 3, 5, .*, 39, and 31 more such ranges$/,
    )
  })

  test('the listed numbers and the runs together are the range', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 10, max: 40 }), { minLength: 1 }), (numbers) => {
        const there = numbers.toSorted((a, b) => a - b)
        const named = (
          missingText({ from: 10, to: 40 }, runs(...there))
            ?.split(': ')[1]
            ?.split(', ') ?? []
        ).flatMap((text) => {
          const [from = 0, to = from] = text.split('..').map(Number)
          return Array.from({ length: to - from + 1 }, (_, index) => from + index)
        })
        expect([...there, ...named].toSorted((a, b) => a - b)).toEqual(
          Array.from({ length: 31 }, (_, index) => 10 + index),
        )
      }),
    )
  })
})

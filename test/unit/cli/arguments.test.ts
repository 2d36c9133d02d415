import { expect, test } from 'vitest'
import { parsePastTime } from '../../../cli/arguments.ts'

const NOW = new Date(Date.UTC(2026, 4, 31, 12, 30))

test.each([
  ['30m', '2026-05-31T12:00:00.000Z'],
  ['6h', '2026-05-31T06:30:00.000Z'],
  ['2d', '2026-05-29T12:30:00.000Z'],
  ['1w', '2026-05-24T12:30:00.000Z'],
  ['today', '2026-05-31T00:00:00.000Z'],
  ['yesterday', '2026-05-30T00:00:00.000Z'],
  ['2024-05-31', '2024-05-31T00:00:00.000Z'],
  ['2026-11-22T08:00Z', '2026-11-22T08:00:00.000Z'],
])('the time %s of an option is %s', (text, time) => {
  expect(parsePastTime(text)(NOW).toISOString()).toBe(time)
})

test.each(['soon', '2d ago', '-2d', '9999999d', '2024-02-31', ''])('"%s" is refused as a time', (text) => {
  expect(() => parsePastTime(text)).toThrow(/A time is expected: .*6h or 2d/)
})

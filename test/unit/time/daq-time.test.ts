import { expect, test } from 'vitest'
import { epochOfDaqTime } from '../../../shared/time/daq-time.ts'

test.each([
  ['2023-12-14 23:33:17', 1_702_593_197],
  ['2023-05-01 18:51:19', Date.parse('2023-05-01T16:51:19Z') / 1000],
  ['2024-03-31 03:00:00', Date.parse('2024-03-31T01:00:00Z') / 1000],
  ['2024-01-01 00:30:00', Date.parse('2023-12-31T23:30:00Z') / 1000],
])('the local time %s of the DAQ is the second %d', (local, epoch) => {
  expect(epochOfDaqTime(local)).toBe(epoch)
})

test('a time in the hour that autumn repeats is the first of the two', () => {
  expect(epochOfDaqTime('2024-10-27 02:30:00')).toBe(Date.parse('2024-10-27T00:30:00Z') / 1000)
})

test('the end of a run in the hour that autumn repeats is not before its begin', () => {
  const start = Date.parse('2024-10-27T00:50:00Z') / 1000
  expect(epochOfDaqTime('2024-10-27 02:10:00', start)).toBe(Date.parse('2024-10-27T01:10:00Z') / 1000)
  expect(epochOfDaqTime('2024-10-27 02:55:00', start)).toBe(Date.parse('2024-10-27T00:55:00Z') / 1000)
})

test('an end that is before the begin by the clock stays as it was written', () => {
  expect(epochOfDaqTime('2024-01-01 00:30:00', 2_000_000_000)).toBe(Date.parse('2023-12-31T23:30:00Z') / 1000)
})

test.each(['', '0000-00-00 00:00:00', '2024-03-31 02:30:00', '2024-02-30 10:00:00'])(
  '%s is no time of the DAQ',
  (local) => {
    expect(epochOfDaqTime(local)).toBeNull()
  },
)

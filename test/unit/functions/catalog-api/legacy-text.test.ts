/** PHP's view of texts: truth, numbers, and what json_encode writes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isTruthy, jsonEncode, parseInteger } from '../../../../functions/catalog-api/legacy/php-text.ts'

test.each([
  [null, false],
  ['', false],
  ['0', false],
  ['0.0', true],
  ['00', true],
  [' ', true],
  ['false', true],
  ['-1', true],
])('in PHP the text %j is %s', (text, truth) => {
  expect(isTruthy(text)).toBe(truth)
})

test('every text comes back from what json_encode writes, in ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const encoded = jsonEncode(text)
      expect(JSON.parse(encoded)).toBe(text)
      expect(encoded).toMatch(/^"[\x20-\x7f]*"$/)
      expect(encoded.replaceAll('\\/', '')).not.toContain('/')
    }),
  )
})

test.each([
  ['12', 12],
  [' 12 ', 12],
  ['-1900', -1900],
  ['12000.0', 12_000],
  ['12.', 12],
  ['', null],
  ['12.5', null],
  ['1 2', null],
])('the number %j is %j', (text, value) => {
  expect(parseInteger(text)).toBe(value)
})

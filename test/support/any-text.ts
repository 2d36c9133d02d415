/** Arbitrary text, rich in what some layer refuses, hides or changes. */
import fc from 'fast-check'

const SPECIAL = [
  '\ud83d',
  '\udca2',
  '\ufffe',
  '\uffff',
  '\ufeff',
  '\u202e',
  '\u200f',
  '\u2066',
  '\0',
  '\u0007',
  '\u001b[31m',
  '\u007f',
  '\u0085',
  '\u2028',
  '\r\n',
  '\t',
  '🦢',
  '\u{1fffe}',
  '\u{10ffff}',
  '\ufdd0',
  'e\u0301',
  'è',
  '日本',
  ' ',
  '+',
  '%41',
  '%',
  '*',
  '\\',
  '/',
  '.',
  '..',
  '"',
  "'",
  '<b>',
  '&amp;',
  '=1+1',
  'LNGS',
]

export const anyText: fc.Arbitrary<string> = fc
  .array(fc.oneof(fc.constantFrom(...SPECIAL), fc.string({ unit: 'binary', maxLength: 3 })), {
    maxLength: 12,
  })
  .map((parts) => parts.join(''))

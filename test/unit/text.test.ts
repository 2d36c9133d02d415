import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cutList, cutText, escaped, isWellFormed, quoted, shortened, wellFormed } from '../../shared/text.ts'
import { anyText } from '../support/any-text.ts'

describe('text from outside', () => {
  test.each([
    ['half a surrogate pair', 'a\ud83d', 'a\ufffd'],
    ['the other half', '\udca2b', '\ufffdb'],
    ['halves in the wrong order', '\udca2\ud83d', '\ufffd\ufffd'],
    ['U+FFFE and U+FFFF', '\ufffe\uffff', '\ufffd\ufffd'],
    ['NUL', 'a\0b', 'a\ufffdb'],
    ['a character of four bytes', '🦢', '🦢'],
    ['a byte order mark, marks of direction, control characters', '\ufeff\u202e\u0007', '\ufeff\u202e\u0007'],
  ])('%s: what a later layer refuses is replaced, the rest is kept', (_, text, kept) => {
    expect(wellFormed(text)).toBe(kept)
    expect(isWellFormed(text)).toBe(text === kept)
    expect(isWellFormed(kept)).toBe(true)
  })

  test('is cut between two items of a list, with the number of those left out', () => {
    expect(cutList('LNGS: 1, 2; LNF: 3', 18)).toBe('LNGS: 1, 2; LNF: 3')
    const list = Array.from({ length: 40 }, (_, index) => 1000 + index).join(', ')
    expect(cutList(list, 60)).toBe('1000, 1001, 1002, 1003, 1004, 1005; and 34 more')
    expect(cutList('x'.repeat(50), 30)).toBe(`${'x'.repeat(29)}…`)
  })

  test('is cut by characters, so that none is split', () => {
    expect(cutText('a🦢🦢', 2)).toBe('a🦢')
    expect(['', 'abc', 'abcd', '🦢🦢🦢', '🦢🦢🦢🦢'].map((text) => shortened(text, 3))).toEqual([
      '',
      'abc',
      'ab…',
      '🦢🦢🦢',
      '🦢🦢…',
    ])
    fc.assert(
      fc.property(anyText, fc.nat({ max: 30 }), (text, most) => {
        const cut = cutText(wellFormed(text), most)
        expect([...cut].length).toBeLessThanOrEqual(most)
        expect(wellFormed(text).startsWith(cut)).toBe(true)
        expect(isWellFormed(cut)).toBe(true)
        expect([...shortened(text, most + 1)].length).toBeLessThanOrEqual(most + 1)
      }),
    )
  })

  test('in quotes shows what cannot be seen, and is the same text again as JSON', () => {
    expect(quoted('LN\u202eGS \u00a0è🦢\uffff"')).toBe('"LN\\u202eGS \\u00a0è🦢\\uffff\\""')
    expect(escaped('🦢')).toBe('\\ud83e\\udda2')
    fc.assert(fc.property(anyText, (text) => JSON.parse(quoted(text)) === text))
  })
})

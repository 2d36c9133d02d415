import { describe, expect, test } from 'vitest'
import { parseTimeText } from '../../../shared/time/text.ts'

describe('a time as people write it', () => {
  test.each([
    ['2024-05-31', '2024-05-31T00:00:00.000Z'],
    ['2024-05-31T12:00', '2024-05-31T12:00:00.000Z'],
    ['2024-05-31 12:00:07', '2024-05-31T12:00:07.000Z'],
    ['2024-05-31T12:00:07.25', '2024-05-31T12:00:07.250Z'],
    ['2024-05-31T12:00Z', '2024-05-31T12:00:00.000Z'],
    ['2024-05-31T12:00:00+02:00', '2024-05-31T10:00:00.000Z'],
    ['2024-02-29T00:30-01:00', '2024-02-29T01:30:00.000Z'],
  ])('%s is %s', (text, iso) => {
    expect(parseTimeText(text)?.toISOString()).toBe(iso)
  })

  test.each([
    '',
    'yesterday',
    '2024-05',
    '2023-02-29',
    '2024-05-31T24:00',
    '2024-05-31T12',
    '31.5.2024',
    '2024-05-31T12:00+0200',
    ' 2024-05-31',
  ])('"%s" is not a time', (text) => {
    expect(parseTimeText(text)).toBeNull()
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSimilarTag, isTag, parseRunKey, type RunCompression, runFileName } from '../../shared/run.ts'

describe('run files', () => {
  test.each([
    ['LNGS/run12345.mid.gz', { tag: 'LNGS', runNumber: 12345, subrun: null, compression: 'gzip' }],
    ['LNGS/run114497.mid.gz', { tag: 'LNGS', runNumber: 114497, subrun: null, compression: 'gzip' }],
    ['MAN/run1.mid', { tag: 'MAN', runNumber: 1, subrun: null, compression: 'none' }],
    [
      'FLASH/2024/run00104sub0001.mid.lz4',
      { tag: 'FLASH/2024', runNumber: 104, subrun: 1, compression: 'lz4' },
    ],
    ['LNF/run00104sub000.mid.bz2', { tag: 'LNF', runNumber: 104, subrun: 0, compression: 'bzip2' }],
    ['LNGS/run4294967295.mid.gz', { tag: 'LNGS', runNumber: 4294967295, subrun: null, compression: 'gzip' }],
    [
      'LNGS/run0000000000000000000042.mid.gz',
      { tag: 'LNGS', runNumber: 42, subrun: null, compression: 'gzip' },
    ],
    ['LNGS/run00101_0000.mid.lz4', { tag: 'LNGS', runNumber: 101, subrun: 0, compression: 'lz4' }],
    ['LNGS/run00101_0012.mid', { tag: 'LNGS', runNumber: 101, subrun: 12, compression: 'none' }],
    [
      "FLASH 2024/é+&%(1)'/run00001.mid.gz",
      { tag: "FLASH 2024/é+&%(1)'", runNumber: 1, subrun: null, compression: 'gzip' },
    ],
    ['prova è/run00000.mid.gz', { tag: 'prova è', runNumber: 0, subrun: null, compression: 'gzip' }],
  ])('%s', (key, wanted) => {
    expect(parseRunKey(key)).toEqual({ ...wanted, fileName: key.slice(key.lastIndexOf('/') + 1) })
  })

  test.each([
    'run12345.mid.gz',
    '/run12345.mid.gz',
    '/LNGS/run12345.mid.gz',
    'LNGS//run12345.mid.gz',
    'LNGS//2024/run12345.mid.gz',
    '../run12345.mid.gz',
    'LNGS/../run12345.mid.gz',
    './run12345.mid.gz',
    'LNGS/./run12345.mid.gz',
    'LN\u0000GS/run12345.mid.gz',
    'LN\nGS/run12345.mid.gz',
    `${'L'.repeat(201)}/run12345.mid.gz`,
    '*/run1.mid.gz',
    'LNGS*/run1.mid.gz',
    'a\\b/run1.mid.gz',
    'LN\u202eGS/run1.mid.gz',
    'LN\ufffeGS/run1.mid.gz',
    'LNGS\uffff/run1.mid.gz',
    'LN\ud83dGS/run1.mid.gz',
    'LN\ufeffGS/run1.mid.gz',
    'LN\u200bGS/run1.mid.gz',
    'LN\u3164GS/run1.mid.gz',
    'LN\u00a0GS/run1.mid.gz',
    ' LNGS/run1.mid.gz',
    'LNGS /run1.mid.gz',
    'LNGS/ /run1.mid.gz',
    'LNGS/ 2024/run1.mid.gz',
    'LN"GS/run1.mid.gz',
    'LN|GS/run1.mid.gz',
    'LNGS?/run1.mid.gz',
    '🦢/run1.mid.gz',
    `${'ü'.repeat(121)}/run1.mid.gz`,
    `LNGS/run${'0'.repeat(240)}1.mid.gz`,
    'LNGS/run1_.mid.gz',
    'LNGS/run1_1sub1.mid.gz',
    'LNGS/run1_4294967296.mid.gz',
    'LNGS/run4294967296.mid.gz',
    `LNGS/run${'9'.repeat(400)}.mid.gz`,
    'LNGS/run1sub4294967296.mid.gz',
    'LNGS/run.mid.gz',
    'LNGS/run-1.mid.gz',
    'LNGS/run1.5.mid.gz',
    'LNGS/run12345.mid.gz ',
    'LNGS/run12345.mid.gz\n',
    'LNGS/run12345.mid.zst',
    'LNGS/run12345.mid.gz.crc32c',
    'LNGS/run12345.mid.gz/',
    'LNGS/run12345sub.mid.gz',
    'LNGS/Run12345.mid.gz',
    'LNGS/run१२.mid.gz',
    'LNGS/xrun12345.mid.gz',
    'LNGS/histograms_Run12345.root',
    '',
    '/',
  ])('%j is none', (key) => {
    expect(parseRunKey(key)).toBeNull()
  })

  test.each([
    ['lngs', 'LNGS', true],
    ['L.N-G S', 'LNGS', true],
    ['LNG', 'LNGS', true],
    ['LMGS', 'LNGS', true],
    ['FLASH/2025', 'FLASH/2024', true],
    ['prova e', 'prova \u00e8', true],
    ['LNF', 'LNGS', false],
    ['MAN', 'LNGS', false],
    ['LNGS/2024', 'LNGS', false],
  ])('the tag %s can be confused with %s: %s', (one, other, expected) => {
    expect(isSimilarTag(one, other)).toBe(expected)
    expect(isSimilarTag(other, one)).toBe(expected)
  })

  test('every name that is made is read back', () => {
    const number = fc.nat({ max: 0xffffffff })
    const compression = fc.constantFrom<RunCompression>('none', 'gzip', 'lz4', 'bzip2')
    const unit = fc.constantFrom(..."LNGSlngs09 ._-+=:,@&%()<>'/èü日本", 'e\u0301')
    const tag = fc.string({ unit, minLength: 1, maxLength: 40 }).filter(isTag)
    fc.assert(
      fc.property(tag, number, fc.option(number), compression, (tag, runNumber, subrun, compression) => {
        const fileName = runFileName({ runNumber, subrun, compression })
        expect(parseRunKey(`${tag}/${fileName}`)).toEqual({ tag, runNumber, subrun, fileName, compression })
      }),
    )
  })

  test('whatever is read has a tag and numbers that the catalogue can hold', () => {
    const part = fc.constantFrom(
      'LNGS',
      '..',
      '.',
      '',
      '/',
      'run',
      '7',
      '99999999999',
      'sub',
      '.mid',
      '.gz',
      '\0',
      ' ',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 9 }), (parts) => {
        const run = parseRunKey(parts.join(''))
        if (run === null) return
        expect(isTag(run.tag)).toBe(true)
        expect(run.tag.split('/')).not.toContain('..')
        expect(run.runNumber).toBeLessThanOrEqual(0xffffffff)
        expect(`${run.tag}/${run.fileName}`).toBe(parts.join(''))
      }),
    )
  })

  test('names are padded as MIDAS pads them, never cut', () => {
    expect(runFileName({ runNumber: 7 })).toBe('run00007.mid.gz')
    expect(runFileName({ runNumber: 1234567, compression: 'none' })).toBe('run1234567.mid')
    expect(runFileName({ runNumber: 104, subrun: 1, compression: 'lz4' })).toBe('run00104sub0001.mid.lz4')
  })

  test.each([-1, 1.5, Number.NaN, 2 ** 32])('%d is no run', (runNumber) => {
    expect(() => runFileName({ runNumber })).toThrow('is not the number of a run')
  })
})

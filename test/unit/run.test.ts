import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isTag, parseRunKey, type RunCompression, runFileName } from '../../shared/run.ts'

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

  test('every name that is made is read back', () => {
    const number = fc.nat({ max: 0xffffffff })
    const compression = fc.constantFrom<RunCompression>('none', 'gzip', 'lz4', 'bzip2')
    const tag = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter(isTag)
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

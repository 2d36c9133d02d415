import { describe, expect, test } from 'vitest'
import { routeKey } from '../../../shared/notifications/route-key.ts'

const kindOf = (key: string) => routeKey(key, ['EVENTS/']).kind

describe('the key of an object', () => {
  test.each([
    'run00101.mid.crc32c',
    'run00101.crc32c',
    'run00101.mid.crc32zlib',
    'run00101.mid.gz.sha512',
    'run00101.mid.lz4.sha256',
    'run00101.mid.gz.md5',
    'run00101.mid.gz.md5sum',
    'run00101.mid.gz.adler32',
    'run00101_0000.mid.lz4.sha512',
    'run00101.json',
    'run00101.xml',
    'run00101.odb',
    'run00101_0000.json',
    'run00101sub0000.xml',
    'run00101.mid.gz.rucio.upload',
    'run00101.mid.gz.part',
    'run00101.mid.gz.tmp',
    'run00101.mid.gz.filepart',
    'run00101.mid.gz.partial',
    '.run00101.mid.gz.x3Fa9b',
    'run00101.mid.gz~',
    'notes.txt',
    'cygnet-test-0b6e7f0e-9d3c-4f62-8b2e-0d6a1f3c5e77.mid.gz',
  ])('%s is a by-product, which is ignored', (name) => {
    expect(kindOf(`LNGS/${name}`)).toBe('ignored')
  })

  test.each(['run00101.mid.gz', 'run00101_0000.mid.lz4', 'run00101_0001.mid', 'run00101sub0002.mid.bz2'])(
    '%s is a run',
    (name) => {
      expect(kindOf(`LNGS/${name}`)).toBe('run')
    },
  )

  test.each(['Run00101.mid.gz', 'run00101.mid.zst', 'run00101_copy.mid.gz', 'run 101.mid', 'run00101.dat'])(
    '%s looks like a run, and a person must hear of it',
    (name) => {
      expect(kindOf(`LNGS/${name}`)).toBe('misnamed')
    },
  )

  test.each(['*', 'a\\b', 'LN\u202eGS', 'LNGS\uffff', ' LNGS', 'LNGS/..'])(
    'of a run in %j is misnamed: that is no tag, and the reason shows what cannot be seen',
    (tag) => {
      const route = routeKey(`${tag}/run00101.mid.gz`, [])
      expect(route).toMatchObject({ kind: 'misnamed', reason: expect.stringContaining('a tag has letters') })
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be in a sentence
      expect(JSON.stringify(route)).not.toMatch(/[\0-\u001f\u202e\uffff]/)
    },
  )
})

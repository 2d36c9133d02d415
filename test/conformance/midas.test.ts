/**
 * Run files written by MIDAS itself, also damaged like real ones. They are next to the repository, not in it; without
 * them the tests are skipped.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../shared/errors.ts'
import { crc32c } from '../../shared/extraction/crc32c.ts'
import type { FileMetadata } from '../../shared/extraction/metadata.ts'
import { extract } from '../support/midas-run.ts'

const data = new URL('../../../shared/data/midas/', import.meta.url)
const there = existsSync(data)
if (!there)
  console.warn(
    `skipped: no run files in ${data.pathname}; lay the experiment's fixtures there to run this suite`,
  )

interface Expected {
  readonly file: string
  readonly sizeBytes: number
  readonly md5: string
  readonly sha256: string
  readonly adler32: string
  readonly eventsById: Record<string, number>
  readonly banks: FileMetadata['banks']
  readonly firstEventTime: number | null
  readonly lastEventTime: number | null
  readonly internal: Record<string, number>
  readonly runNumber?: number
  readonly eventCount: number
}

/**
 * The expected result of each: null for complete, the code of its problem and its position, or the reason why it is
 * invalid.
 */
const endings: Readonly<Record<string, null | { readonly code: string; readonly offset: number } | RegExp>> =
  {
    'bigendian.mid': /big-endian/,
    'empty.mid.gz': /nothing readable/,
    'run00002.mid.gz': null,
    'run00005_commalocale.mid.gz': null,
    'run00008_bank16.mid.gz': null,
    'run00104sub0000.mid.gz': null,
    'trunc_gz_half.mid.gz': { code: 'gzip-truncated', offset: 1_865_029 },
    'trunc_midbody_closedgz.mid.gz': { code: 'cut-in-event', offset: 5_588_252 },
    'trunc_raw_in_bor.mid': { code: 'cut-in-begin-of-run', offset: 5000 },
    'trunc_raw_midheader.mid': { code: 'cut-in-header', offset: 53_375 },
  }

const read = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, data)))
const expected: readonly Expected[] = there
  ? JSON.parse(readFileSync(new URL('expected.json', data), 'utf8'))
  : []

describe.skipIf(!there)("the experiment's and MIDAS's own run files", () => {
  it('all run files are known to this suite', () => {
    const files = readdirSync(data).filter((name) => /\.mid(\.gz)?$/.test(name))
    expect(files.toSorted()).toEqual(Object.keys(endings).toSorted())
    expect(expected.map(({ file }) => file).toSorted()).toEqual(files.toSorted())
  })

  for (const igzip of ['never', 'auto'] as const)
    it.each(expected.map((row) => [row.file, row] as const))(`%s (igzip: ${igzip})`, async (file, row) => {
      const ending = endings[file]
      if (ending instanceof RegExp) {
        const failure = await extract(read(file), file, { igzip }).catch((error: unknown) => error)
        expect(failure).toBeInstanceOf(InvalidInputError)
        expect(String(failure)).toMatch(ending)
        return
      }
      const metadata = await extract(read(file), file, { igzip, pieceBytes: 99_999 })
      expect({ ...metadata, ...metadata.checksums }).toMatchObject({
        sizeBytes: row.sizeBytes,
        md5: row.md5,
        sha256: row.sha256,
        adler32: row.adler32,
        eventsById: row.eventsById,
        banks: row.banks,
        firstEventTime: row.firstEventTime,
        lastEventTime: row.lastEventTime,
        internalEvents: row.internal,
        runNumber: row.runNumber,
        eventCount: row.eventCount,
        complete: ending === null,
        problem: ending,
      })
    })

  it('decimal commas are repaired, with a warning', async () => {
    const metadata = await extract(read('run00005_commalocale.mid.gz'), 'run00005.mid.gz')
    expect(metadata.warnings).toHaveLength(1)
    expect(metadata.warnings[0]?.message).toContain('decimal comma')
    expect(metadata.odb).toMatchObject({ run_number: 5, exposure_sec: 0.3 })
  })

  it('the camera and the digitizers of a full-size event are recognised', async () => {
    const metadata = await extract(read('run00002.mid.gz'), 'run00002.mid.gz')
    expect(metadata.cameras[0]).toMatchObject({ number: 0, model: 'ORCA Fusion', width: 2304, height: 2304 })
    expect(metadata.digitizers?.map(({ model }) => model)).toEqual([1742, 1720])
    expect(metadata.warnings).toEqual([])
  })

  it('the checksum agrees with the checksum file of the logger', () => {
    const [checksum, bytes] = readFileSync(new URL('run00104sub0000.mid.crc32c', data), 'utf8').split(' ')
    const stream = gunzipSync(read('run00104sub0000.mid.gz'))
    expect(stream.length).toBe(Number(bytes))
    expect(crc32c(stream).toString(16).padStart(8, '0')).toBe(checksum)
  })
})

import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Adler32 } from '../../../shared/extraction/adler32.ts'
import { createChecksums } from '../../../shared/extraction/checksums.ts'
import { crc32c } from '../../../shared/extraction/crc32c.ts'
import { noise, text } from '../../support/midas-run.ts'

/** Adler-32 straight from its definition. */
function adlerByDefinition(bytes: Uint8Array): number {
  let a = 1
  let b = 0
  for (const byte of bytes) {
    a = (a + byte) % 65521
    b = (b + a) % 65521
  }
  return b * 65536 + a
}

describe('adler32', () => {
  it('is that of the definition, for any bytes in any pieces at any alignment', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 1, max: 999 }),
        (bytes, shift, piece) => {
          const room = new Uint8Array(bytes.length + shift)
          room.set(bytes, shift)
          const adler = new Adler32()
          for (let at = shift; at < room.length; at += piece) adler.update(room.subarray(at, at + piece))
          expect(adler.digest()).toBe(adlerByDefinition(bytes))
        },
      ),
    )
  })

  it('does not overflow on the largest bytes', () => {
    const bytes = new Uint8Array(5_000_000).fill(255)
    const adler = new Adler32()
    adler.update(bytes)
    expect(adler.digest()).toBe(adlerByDefinition(bytes))
  })

  it('keeps its leading zeros', async () => {
    expect((await createChecksums().digest()).adler32).toBe('00000001')
  })
})

describe('crc32c', () => {
  it('agrees with the published check value', () => {
    expect(crc32c(text('123456789'))).toBe(0xe3069283)
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  })

  it('is the same in pieces', () => {
    const bytes = noise(1001)
    expect(crc32c(bytes.subarray(333), crc32c(bytes.subarray(0, 333)))).toBe(crc32c(bytes))
  })
})

describe('all checksums of a file', () => {
  it('are computed in one pass, the further ones when asked for', async () => {
    const bytes = noise(300_001)
    const checksums = createChecksums(['crc32', 'crc32c', 'sha1', 'crc64nvme'])
    for (let at = 0; at < bytes.length; at += 4097) checksums.update(bytes.subarray(at, at + 4097))
    expect(checksums.sizeBytes).toBe(bytes.length)
    expect(await checksums.digest()).toEqual({
      md5: createHash('md5').update(bytes).digest('hex'),
      sha256: createHash('sha256').update(bytes).digest('hex'),
      sha1: createHash('sha1').update(bytes).digest('hex'),
      adler32: adlerByDefinition(bytes).toString(16).padStart(8, '0'),
      crc32: crc32(bytes).toString(16).padStart(8, '0'),
      crc32c: crc32c(bytes).toString(16).padStart(8, '0'),
      crc64nvme: expect.stringMatching(/^[0-9a-f]{16}$/),
    })
    expect(Object.keys(await createChecksums().digest())).toEqual(['md5', 'sha256', 'adler32'])
  })

  it('crc64nvme agrees with the published check value', async () => {
    const checksums = createChecksums(['crc64nvme'])
    checksums.update(text('123456789'))
    expect((await checksums.digest()).crc64nvme).toBe('ae8b14860a799888')
  })
})

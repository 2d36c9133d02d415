import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareDigests, integrityOf } from '../../../shared/extraction/integrity.ts'
import { likelyPartBytes, MultipartEtag } from '../../../shared/extraction/multipart-etag.ts'

const MIB = 1024 * 1024
const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest()

describe('the ETag of a multipart upload', () => {
  test('is the MD5 of the parts’ MD5s, however the bytes come', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 1, max: 90 }),
        fc.integer({ min: 1, max: 50 }),
        (bytes, partBytes, pieceBytes) => {
          const etag = new MultipartEtag(partBytes)
          for (let at = 0; at < bytes.length; at += pieceBytes)
            etag.update(bytes.subarray(at, at + pieceBytes))
          const parts = Array.from({ length: Math.max(1, Math.ceil(bytes.length / partBytes)) }, (_, part) =>
            md5(bytes.subarray(part * partBytes, (part + 1) * partBytes)),
          )
          expect(etag.digest()).toBe(`${md5(Buffer.concat(parts)).toString('hex')}-${parts.length}`)
        },
      ),
    )
  })

  test.each([
    ['aws-cli', 1_588_093_000, 8],
    ['rclone', 1_588_093_000, 5],
    ['mc', 1_588_093_000, 16],
    ['an unusual client', 6_000_000_000, 27],
  ])('finds the part size of %s', (_, sizeBytes, mib) => {
    const parts = Math.ceil(sizeBytes / (mib * MIB))
    expect(likelyPartBytes(`${'a'.repeat(32)}-${parts}`, sizeBytes)).toBe(mib * MIB)
  })

  test('finds nothing where there are no parts, or no size matches', () => {
    for (const etag of ['a'.repeat(32), '', 'abc-2', `${'a'.repeat(32)}-0`, `${'a'.repeat(32)}-99999`])
      expect(likelyPartBytes(etag, 1000)).toBeNull()
    expect(likelyPartBytes(`${'a'.repeat(32)}-3`, 1000)).toBeNull()
  })

  test('counts when it agrees; a wrong guess of the part size is no disagreement', () => {
    const computed = { md5: 'm', sha256: 's', adler32: 'a', multipartEtag: 'x-2' }
    expect(integrityOf(compareDigests([{ by: 'etag', digests: { multipartEtag: 'x-2' } }], computed))).toBe(
      'verified',
    )
    expect(integrityOf(compareDigests([{ by: 'etag', digests: { multipartEtag: 'y-2' } }], computed))).toBe(
      'unstated',
    )
  })
})

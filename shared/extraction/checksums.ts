/** All checksums of a file in one pass. */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { Crc64Nvme } from '@aws-sdk/crc64-nvme'
import { Adler32 } from './adler32.ts'
import { crc32c } from './crc32c.ts'
import type { Checksums } from './metadata.ts'
import { MultipartEtag } from './multipart-etag.ts'

/** Digests that are computed on request: those that a store or a sidecar file may state. */
export type FurtherDigest = 'crc32' | 'crc32c' | 'sha1' | 'crc64nvme'

export interface RunningChecksums {
  readonly sizeBytes: number
  update(bytes: Uint8Array): void
  /** To be called once, at the end. */
  digest(): Promise<Checksums>
}

const hex32 = (value: number): string => value.toString(16).padStart(8, '0')

/** @param partBytes also compute the ETag of a multipart upload with parts of this size; null for none. */
export function createChecksums(
  further: readonly FurtherDigest[] = [],
  partBytes: number | null = null,
): RunningChecksums {
  const md5 = createHash('md5')
  const sha256 = createHash('sha256')
  const adler32 = new Adler32()
  const sha1 = further.includes('sha1') ? createHash('sha1') : null
  const crc64 = further.includes('crc64nvme') ? new Crc64Nvme() : null
  const multipart = partBytes === null ? null : new MultipartEtag(partBytes)
  let castagnoli = further.includes('crc32c') ? 0 : null
  let crc = further.includes('crc32') ? 0 : null
  let sizeBytes = 0
  return {
    get sizeBytes() {
      return sizeBytes
    },
    update(bytes) {
      sizeBytes += bytes.length
      md5.update(bytes)
      sha256.update(bytes)
      adler32.update(bytes)
      sha1?.update(bytes)
      multipart?.update(bytes)
      crc64?.update(bytes)
      if (castagnoli !== null) castagnoli = crc32c(bytes, castagnoli)
      if (crc !== null) crc = crc32(bytes, crc)
    },
    async digest() {
      return {
        md5: md5.digest('hex'),
        sha256: sha256.digest('hex'),
        adler32: hex32(adler32.digest()),
        ...(crc === null ? {} : { crc32: hex32(crc) }),
        ...(castagnoli === null ? {} : { crc32c: hex32(castagnoli) }),
        ...(sha1 === null ? {} : { sha1: sha1.digest('hex') }),
        ...(multipart === null ? {} : { multipartEtag: multipart.digest() }),
        ...(crc64 === null ? {} : { crc64nvme: Buffer.from(await crc64.digest()).toString('hex') }),
      }
    },
  }
}

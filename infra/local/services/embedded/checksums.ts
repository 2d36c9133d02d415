/** The checksums that S3 clients send with a body, computed while it is read. */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { AwsCrc32c } from '@aws-crypto/crc32c'
import { Crc64Nvme } from '@aws-sdk/crc64-nvme'

/**
 * Hashes the bytes in order; `digest` returns the value in the form of the header (base64, or hex for the payload
 * hash).
 */
export interface Digest {
  update(chunk: Uint8Array): void
  digest(): Promise<string>
}

function hash(algorithm: 'md5' | 'sha1' | 'sha256', encoding: 'base64' | 'hex'): Digest {
  const state = createHash(algorithm)
  return { update: (chunk) => void state.update(chunk), digest: async () => state.digest(encoding) }
}

function crc(state: { update(chunk: Uint8Array): void; digest(): Promise<Uint8Array> }): Digest {
  return {
    update: (chunk) => state.update(chunk),
    digest: async () => Buffer.from(await state.digest()).toString('base64'),
  }
}

function zlibCrc32(): Digest {
  let value = 0
  return {
    update(chunk) {
      value = crc32(chunk, value)
    },
    async digest() {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(value)
      return bytes.toString('base64')
    },
  }
}

/**
 * By the name of the header with the value. `x-amz-content-sha256` is part of the signature, in hexadecimal.
 */
const DIGESTS: Readonly<Record<string, () => Digest>> = {
  'content-md5': () => hash('md5', 'base64'),
  'x-amz-content-sha256': () => hash('sha256', 'hex'),
  'x-amz-checksum-sha1': () => hash('sha1', 'base64'),
  'x-amz-checksum-sha256': () => hash('sha256', 'base64'),
  'x-amz-checksum-crc32': zlibCrc32,
  'x-amz-checksum-crc32c': () => crc(new AwsCrc32c()),
  'x-amz-checksum-crc64nvme': () => crc(new Crc64Nvme()),
}

/**
 * The headers whose values are stored with an object, and returned for `x-amz-checksum-mode: ENABLED`.
 */
export const STORED_CHECKSUMS: readonly string[] = Object.keys(DIGESTS).filter((name) =>
  name.startsWith('x-amz-checksum-'),
)

/** A digest for a header, or undefined when the header has no known digest. */
export function digestFor(header: string): Digest | undefined {
  return DIGESTS[header]?.()
}

/** The digests that are stated for an object: by its ETag, by the store, by the uploader. */
import type { HeadAnswer } from './answers.ts'

/** Digests stated by the store or the uploader for an object, lower-case hex; absent where none is stated. */
export interface StatedDigests {
  readonly md5?: string
  readonly sha256?: string
  readonly sha1?: string
  readonly crc32?: string
  readonly crc32c?: string
  readonly crc64nvme?: string
  readonly adler32?: string
  /** The ETag of a multipart upload: a checksum if the part size can be guessed. */
  readonly multipartEtag?: string
}

/**
 * Which source states which digest of the content. What the ETag states is a digest of the content only if it
 * agrees: other objects have ETags of the same form (docs/adr/0018-etags.md).
 */
export interface Statement {
  readonly by: 'etag' | 'store' | 'uploader'
  readonly digests: StatedDigests
}

const HEX_LENGTH = {
  md5: 32,
  sha256: 64,
  sha1: 40,
  crc32: 8,
  crc32c: 8,
  crc64nvme: 16,
  adler32: 8,
} as const
type Digest = keyof typeof HEX_LENGTH

/**
 * Only digests of the content: not the ETag of an object encrypted with keys of a key service or of the
 * client, nor a composite checksum (it ends in `-<parts>`).
 */
export function statementsOf(head: HeadAnswer): readonly Statement[] {
  const { ETag: etag = '', Metadata: metadata } = head
  const encrypted =
    head.ServerSideEncryption?.startsWith('aws:kms') || head.SSECustomerAlgorithm !== undefined
  const stated = (form: RegExp) => (form.test(etag) && !encrypted ? etag : undefined)
  const whole = (name: Digest, base64: string | undefined) =>
    head.ChecksumType === 'COMPOSITE' || base64?.includes('-') ? undefined : hexOfBase64(name, base64)
  const all: readonly Statement[] = [
    {
      by: 'etag',
      digests: defined({
        md5: stated(/^[0-9a-f]{32}$/),
        multipartEtag: stated(/^[0-9a-f]{32}-\d+$/),
      }),
    },
    {
      by: 'store',
      digests: defined({
        sha256: whole('sha256', head.ChecksumSHA256),
        sha1: whole('sha1', head.ChecksumSHA1),
        crc32: whole('crc32', head.ChecksumCRC32),
        crc32c: whole('crc32c', head.ChecksumCRC32C),
        crc64nvme: whole('crc64nvme', head.ChecksumCRC64NVME),
      }),
    },
    {
      by: 'uploader',
      digests: defined({
        // rclone stores the MD5 of a multipart upload as base64 under a name of its own.
        md5: hexOf('md5', metadata.md5) ?? hexOfBase64('md5', metadata.md5chksum),
        sha256: hexOf('sha256', metadata.sha256),
        adler32: hexOf('adler32', metadata.adler32?.trim().padStart(8, '0')),
      }),
    },
  ]
  return all.filter(({ digests }) => Object.keys(digests).length > 0)
}

const hexOfBase64 = (name: Digest, base64: string | undefined) =>
  hexOf(name, Buffer.from(base64 ?? '', 'base64').toString('hex'))

function hexOf(name: Digest, text: string | undefined): string | undefined {
  const value = text?.trim().toLowerCase() ?? ''
  return /^[0-9a-f]+$/.test(value) && value.length === HEX_LENGTH[name] ? value : undefined
}

function defined(digests: Readonly<Record<string, string | undefined>>): StatedDigests {
  return Object.fromEntries(Object.entries(digests).filter(([, value]) => value !== undefined))
}

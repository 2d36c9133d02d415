/** Compares the digests computed from an object's bytes with those stated by the store and the uploader. */
import type { Checksums } from './metadata.ts'

type DigestName = keyof Checksums

interface Stated {
  readonly by: string
  readonly digests: Partial<Readonly<Record<DigestName, string>>>
}

export interface Comparison {
  readonly by: string
  readonly algorithm: DigestName
  readonly stated: string
  readonly agrees: boolean
}

/** Digests other than md5, sha256 and adler32 that must be computed to compare everything that is stated. */
export function furtherDigests(
  stated: readonly Stated[],
): readonly ('crc32' | 'crc32c' | 'sha1' | 'crc64nvme')[] {
  const wanted = ['crc32', 'crc32c', 'sha1', 'crc64nvme'] as const
  return wanted.filter((name) => stated.some(({ digests }) => digests[name] !== undefined))
}

/**
 * One comparison for each digest that is both stated and computed. An ETag counts only when it agrees: the
 * part size of a multipart upload was guessed, and an ETag in the form of an MD5 may be that of something
 * else, e.g. of the segments of a Swift large object (docs/adr/0018-etags.md).
 */
export function compareDigests(stated: readonly Stated[], computed: Checksums): readonly Comparison[] {
  return stated.flatMap(({ by, digests }) =>
    (Object.entries(digests) as [DigestName, string][]).flatMap(([algorithm, value]) => {
      const ours = computed[algorithm]
      const agrees = value.toLowerCase() === ours
      return ours === undefined || (by === 'etag' && !agrees)
        ? []
        : [{ by, algorithm, stated: value, agrees }]
    }),
  )
}

/**
 * mismatch when any digest disagrees, verified when at least one agrees, unstated when there is nothing to
 * compare with.
 */
export function integrityOf(comparisons: readonly Comparison[]): 'verified' | 'unstated' | 'mismatch' {
  if (comparisons.some((comparison) => !comparison.agrees)) return 'mismatch'
  return comparisons.length > 0 ? 'verified' : 'unstated'
}

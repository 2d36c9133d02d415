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
 * One comparison for each digest that is both stated and computed. The ETag of a multipart upload counts only
 * when it agrees: the part size was guessed, and a wrong guess is not a mismatch.
 */
export function compareDigests(stated: readonly Stated[], computed: Checksums): readonly Comparison[] {
  return stated.flatMap(({ by, digests }) =>
    (Object.entries(digests) as [DigestName, string][]).flatMap(([algorithm, value]) => {
      const ours = computed[algorithm]
      return ours === undefined || (algorithm === 'multipartEtag' && value !== ours)
        ? []
        : [{ by, algorithm, stated: value, agrees: value.toLowerCase() === ours }]
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

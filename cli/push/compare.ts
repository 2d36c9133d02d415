/**
 * Compares an object in the store with a file's checksums: before sending, whether the object already is the
 * file; after sending, whether the file arrived.
 */
import type { ObjectDescription } from '../../shared/storage/objects.ts'
import type { StatedDigests } from '../../shared/storage/stated-digests.ts'
import type { FileChecksums } from './checksums.ts'

export interface Comparison {
  /** Checks in which object and file agree. */
  readonly agrees: readonly string[]
  /** Differences, as parts of a sentence. */
  readonly differs: readonly string[]
  /** Why the contents cannot be compared, as part of a sentence; null where they can. */
  readonly unknown: string | null
}

type Expected = FileChecksums & { readonly sizeBytes: number }

const SOURCE = { store: "the store's checksum", uploader: 'metadata' } as const

/**
 * Is the object under the key this file? Yes when a checksum of the content agrees and none differs. A different
 * ETag proves nothing (docs/adr/0018-etags.md). But metadata, which is only the claim of an uploader, does not
 * outweigh one that has the form of an MD5: then it is unknown.
 */
export const compareExisting = (object: ObjectDescription, file: Expected): Comparison =>
  compareContents(object, file, {
    metadataCounts: !object.stated.some(
      ({ by, digests: { md5 = file.md5 } }) => by === 'etag' && md5 !== file.md5,
    ),
  })

/**
 * The same for the removal of a file whose object the catalogue has read: metadata, as `cygnet push` writes it,
 * counts whatever the ETag is.
 */
export const compareCatalogued = (object: ObjectDescription, file: Expected): Comparison =>
  compareContents(object, file, { metadataCounts: true })

/** By the store's own statements; if there are none, by the uploader's. */
function compareContents(
  object: ObjectDescription,
  file: Expected,
  { metadataCounts }: { readonly metadataCounts: boolean },
): Comparison {
  if (object.sizeBytes !== file.sizeBytes)
    return { agrees: [], differs: [sizes(object, file)], unknown: null }
  const own = digests(object, file, 'store')
  const agrees = [...sameEtag(object, file), ...own.agrees]
  if (agrees.length > 0 || own.differs.length > 0) return { agrees, differs: own.differs, unknown: null }
  const claimed = digests(object, file, 'uploader')
  if (claimed.differs.length > 0) return { ...claimed, unknown: null }
  const isClaimed = metadataCounts && claimed.agrees.some((name) => !name.startsWith('adler32'))
  return isClaimed ? { ...claimed, unknown: null } : { agrees: [], differs: [], unknown: uncertain(object) }
}

/**
 * Compares the store's answer about an object that was just sent, including the checksums in its metadata. With
 * another ETag it is unknown whether the contents arrived: the catalogue compares them when it reads the object.
 */
export function compareSent(
  object: ObjectDescription,
  file: Expected,
  sent: { readonly etagIsMd5: boolean },
): Comparison {
  const own = digests(object, file, 'store')
  const claimed = object.stated.find(({ by }) => by === 'uploader')?.digests ?? {}
  const wrongMetadata = (['md5', 'sha256', 'adler32'] as const)
    .filter((name) => claimed[name] !== file[name])
    .map((name) => `its metadata has ${name} ${claimed[name] ?? 'missing'}, expected ${file[name]}`)
  const sameSize = object.sizeBytes === file.sizeBytes
  const isSame = object.etag === file.etag
  return {
    agrees: [
      ...(sameSize ? ['size'] : []),
      ...(sent.etagIsMd5 && isSame ? ['ETag'] : []),
      ...own.agrees,
      ...(wrongMetadata.length === 0 ? ['metadata'] : []),
    ],
    differs: [...(sameSize ? [] : [sizes(object, file)]), ...own.differs, ...wrongMetadata],
    unknown: !sent.etagIsMd5 || isSame || own.agrees.length > 0 ? null : uncertain(object),
  }
}

const uncertain = ({ etag }: ObjectDescription) =>
  `its contents cannot be compared: no checksum of them is stated, and its ETag ${etag} may be computed in another way`

/** Only an equal ETag is a checksum of the content. */
function sameEtag(object: ObjectDescription, file: Expected): readonly string[] {
  if (object.stated.some(({ by, digests: { md5 } }) => by === 'etag' && md5 === file.md5))
    return ['md5 in ETag']
  return object.etag === file.etag ? ['ETag'] : []
}

const sizes = (object: ObjectDescription, file: Expected) =>
  `it has ${object.sizeBytes} bytes, the file ${file.sizeBytes}`

function digests(
  object: ObjectDescription,
  file: Expected,
  source: 'store' | 'uploader',
): Pick<Comparison, 'agrees' | 'differs'> {
  const agrees: string[] = []
  const differs: string[] = []
  for (const { digests } of object.stated.filter(({ by }) => by === source))
    for (const name of ['md5', 'sha256', 'adler32'] as const satisfies readonly (keyof StatedDigests)[]) {
      const stated = digests[name]
      if (stated === undefined) continue
      if (stated === file[name]) agrees.push(`${name} in ${SOURCE[source]}`)
      else differs.push(`${name} in ${SOURCE[source]} is ${stated}, the file's is ${file[name]}`)
    }
  return { agrees, differs }
}

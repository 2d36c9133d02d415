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
}

type Expected = FileChecksums & { readonly sizeBytes: number }

const SOURCE = { etag: 'ETag', store: "the store's checksum", uploader: 'metadata' } as const

/**
 * Is the object under the key this file? Yes when a checksum of the content agrees and no other differs. A
 * different ETag of a multipart object proves nothing: other uploaders use other part sizes. Metadata is only
 * the claim of an uploader, so the store's own checksums go first.
 */
export function compareExisting(object: ObjectDescription, file: Expected): Comparison {
  if (object.sizeBytes !== file.sizeBytes) return { agrees: [], differs: [sizes(object, file)] }
  const own = digests(object, file, ['etag', 'store'])
  if (object.etag === file.etag && own.agrees.length === 0) return { agrees: ['ETag'], differs: own.differs }
  if (own.agrees.length > 0 || own.differs.length > 0) return own
  const claimed = digests(object, file, ['uploader'])
  if (claimed.differs.length > 0 || claimed.agrees.some((name) => !name.startsWith('adler32'))) return claimed
  return { agrees: [], differs: ['it has the same size, but no checksum to compare with'] }
}

/**
 * Differences between the file and the store's own statements about the object. Empty also when the store
 * states nothing comparable, e.g. for multipart objects with other part sizes.
 */
export function contradictions(object: ObjectDescription, file: Expected): readonly string[] {
  return object.sizeBytes === file.sizeBytes
    ? digests(object, file, ['etag', 'store']).differs
    : [sizes(object, file)]
}

/**
 * Compares the store's answer about an object that was just sent, including the checksums in its metadata.
 */
export function compareSent(
  object: ObjectDescription,
  file: Expected,
  sent: { readonly etagIsMd5: boolean },
): Comparison {
  const agrees: string[] = []
  const differs: string[] = []
  const add = (equal: boolean, name: string, difference: string) =>
    equal ? agrees.push(name) : differs.push(difference)
  add(object.sizeBytes === file.sizeBytes, 'size', sizes(object, file))
  // An ETag of another form is not a checksum of the content.
  if (sent.etagIsMd5 && /^[0-9a-f]{32}(-\d+)?$/.test(object.etag))
    add(object.etag === file.etag, 'ETag', `its ETag is ${object.etag}, expected ${file.etag}`)
  const own = digests(object, file, ['store'])
  agrees.push(...own.agrees)
  differs.push(...own.differs)
  const claimed = object.stated.find(({ by }) => by === 'uploader')?.digests ?? {}
  for (const name of ['md5', 'sha256', 'adler32'] as const)
    if (claimed[name] !== file[name])
      differs.push(`its metadata has ${name} ${claimed[name] ?? 'missing'}, expected ${file[name]}`)
  if (!differs.some((text) => text.startsWith('its metadata'))) agrees.push('metadata')
  return { agrees, differs }
}

const sizes = (object: ObjectDescription, file: Expected) =>
  `it has ${object.sizeBytes} bytes, the file ${file.sizeBytes}`

function digests(
  object: ObjectDescription,
  file: Expected,
  sources: readonly (keyof typeof SOURCE)[],
): Comparison {
  const agrees: string[] = []
  const differs: string[] = []
  for (const { by, digests } of object.stated.filter((stated) => sources.includes(stated.by)))
    for (const name of ['md5', 'sha256', 'adler32'] as const satisfies readonly (keyof StatedDigests)[]) {
      const stated = digests[name]
      if (stated === undefined) continue
      if (stated === file[name]) agrees.push(`${name} in ${SOURCE[by]}`)
      else differs.push(`${name} in ${SOURCE[by]} is ${stated}, the file's is ${file[name]}`)
    }
  return { agrees, differs }
}

/**
 * Compares an object in the store with a file's checksums: is it the same already, and after sending: did it
 * arrive?
 */
import type { ObjectDescription, StatedDigests } from '../../shared/storage/objects.ts'
import type { FileChecksums } from './checksums.ts'

export interface Comparison {
  /** In what object and file agree. */
  readonly agrees: readonly string[]
  /** In what they differ, as parts of a sentence. */
  readonly differs: readonly string[]
}

type Expected = FileChecksums & { readonly sizeBytes: number }

const SOURCE = { etag: 'ETag', store: "the store's checksum", uploader: 'metadata' } as const

/**
 * Is the object under the key this file? Yes when a checksum of the content says so and nothing says
 * otherwise. An ETag of parts that differs says nothing: others cut their parts otherwise. Metadata is what
 * some uploader claimed, so the store's own words go before it.
 */
export function compareExisting(object: ObjectDescription, file: Expected): Comparison {
  if (object.sizeBytes !== file.sizeBytes) return { agrees: [], differs: [sizes(object, file)] }
  const own = digests(object, file, ['etag', 'store'])
  if (object.etag === file.etag && own.agrees.length === 0) return { agrees: ['ETag'], differs: own.differs }
  if (own.agrees.length > 0 || own.differs.length > 0) return own
  const claimed = digests(object, file, ['uploader'])
  if (claimed.differs.length > 0 || claimed.agrees.some((name) => !name.startsWith('adler32'))) return claimed
  return { agrees: [], differs: ['it has the same size and states no checksum to compare with'] }
}

/**
 * What the store itself says against the object being this file; empty also where it says nothing, as of
 * objects in parts that others have cut otherwise.
 */
export function contradictions(object: ObjectDescription, file: Expected): readonly string[] {
  return object.sizeBytes === file.sizeBytes
    ? digests(object, file, ['etag', 'store']).differs
    : [sizes(object, file)]
}

/**
 * Compares what the store answers about an object that was just sent, the checksums written as metadata among
 * it.
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
  // Other forms of ETag say nothing about the content.
  if (sent.etagIsMd5 && /^[0-9a-f]{32}(-\d+)?$/.test(object.etag))
    add(object.etag === file.etag, 'ETag', `its ETag is ${object.etag}, expected ${file.etag}`)
  const own = digests(object, file, ['store'])
  agrees.push(...own.agrees)
  differs.push(...own.differs)
  const claimed = object.stated.find(({ by }) => by === 'uploader')?.digests ?? {}
  for (const name of ['md5', 'sha256', 'adler32'] as const)
    if (claimed[name] !== file[name])
      differs.push(`its metadata has ${name} ${claimed[name] ?? 'lost'}, expected ${file[name]}`)
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

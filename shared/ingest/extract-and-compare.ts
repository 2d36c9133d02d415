/** Reads an object and compares its bytes with the digests that are stated for it, and with earlier readings. */
import type { Context } from '../context.ts'
import type { Database } from '../database/connect.ts'
import type { DigestComparison, Integrity } from '../database/schema.ts'
import { TransientError } from '../errors.ts'
import { extractFile } from '../extraction/extract-file.ts'
import { compareDigests, furtherDigests, integrityOf } from '../extraction/integrity.ts'
import type { FileMetadata } from '../extraction/metadata.ts'
import { likelyPartBytes } from '../extraction/multipart-etag.ts'
import type { RunFileId } from '../run.ts'
import { type ObjectDescription, readObject } from '../storage/objects.ts'
import { blame, storeBreaker } from '../work/breaker.ts'

export interface ComparedFile {
  readonly metadata: FileMetadata
  readonly comparisons: readonly DigestComparison[]
  readonly integrity: Integrity
}

/**
 * Reads the object once, and a second time if a digest or the ETag disagrees: the first reading may have been
 * faulty.
 * @throws TransientError when two readings differ and none agrees with what is stated; what reading throws.
 */
export async function extractAndCompare(
  context: Context<'database' | 's3'>,
  object: ObjectDescription,
  run: RunFileId,
  signal: AbortSignal,
): Promise<ComparedFile> {
  const earlier = await earlierReading(context.database, object)
  const read = async () => compare(object, earlier, await extract(context, object, run, signal))
  const first = await read()
  if (first.integrity === 'verified' || !isDoubtful(object, first)) return first
  const second = await read()
  if (second.integrity !== 'verified' && !isSameContent(first, second))
    throw new TransientError(`two readings of ${object.bucket}/${object.key} gave different bytes`)
  return second
}

const isDoubtful = (object: ObjectDescription, { integrity, metadata }: ComparedFile) =>
  integrity === 'mismatch' || etagDiffers(object, metadata)

const isSameContent = (a: ComparedFile, b: ComparedFile) =>
  a.metadata.checksums.sha256 === b.metadata.checksums.sha256

/** The ETag has the form of an MD5 of the content, and is another. */
function etagDiffers({ stated }: ObjectDescription, { checksums }: FileMetadata): boolean {
  const md5 = stated.find(({ by }) => by === 'etag')?.digests.md5
  return md5 !== undefined && md5 !== checksums.md5
}

async function extract(
  { config, s3 }: Context<'s3'>,
  object: ObjectDescription,
  run: RunFileId,
  signal: AbortSignal,
): Promise<FileMetadata> {
  return await extractFile(
    {
      fileName: run.fileName,
      open: (opened) => blamedOnStore(object, readObject(s3, object, opened)),
    },
    {
      igzip: config.ingest.igzip,
      maxEventBytes: config.ingest.maxEventBytes,
      digests: furtherDigests(object.stated),
      partBytes: likelyPartBytes(object.etag, object.sizeBytes),
      signal,
    },
  )
}

function compare(object: ObjectDescription, earlier: string | null, metadata: FileMetadata): ComparedFile {
  const comparisons = compareDigests(object.stated, metadata.checksums)
  const integrity = integrityOf(comparisons)
  const warnings = [...metadata.warnings, ...warningsOf(object, metadata, integrity)]
  const { sha256 } = metadata.checksums
  const contradicted = integrity === 'unstated' && earlier !== null && earlier !== sha256
  if (!contradicted) return { metadata: { ...metadata, warnings }, comparisons, integrity }
  const wrong = { by: 'earlier reading', algorithm: 'sha256', stated: earlier, agrees: false }
  return { metadata: { ...metadata, warnings }, comparisons: [...comparisons, wrong], integrity: 'mismatch' }
}

/** What is unusual about how the object is stored. */
function warningsOf(
  object: ObjectDescription,
  metadata: FileMetadata,
  integrity: Integrity,
): FileMetadata['warnings'] {
  const { contentEncoding, etag, lastModified } = object
  const warnings: FileMetadata['warnings'][number][] = []
  if (lastModified === null)
    warnings.push({
      code: 'no-date',
      message: 'the store does not state since when it has the object: it counts as stored when it was read',
      offset: null,
    })
  if (contentEncoding !== null)
    warnings.push({
      code: 'content-encoding',
      message: `the object is stored with Content-Encoding ${contentEncoding}: browsers and many programs decompress what they fetch, unless the link prevents it as Cygnet's links do`,
      offset: null,
    })
  if (integrity === 'unstated' && etagDiffers(object, metadata))
    warnings.push({
      code: 'etag-differs',
      message: `the ETag ${etag} is not the MD5 of the contents: either it is computed in another way, as for objects of several segments, or the contents are damaged`,
      offset: null,
    })
  return warnings
}

/**
 * SHA-256 of the same version when it was catalogued before; null if it was not, or was in doubt then. A
 * store gives another ETag to other contents, so a different reading is a contradiction.
 */
async function earlierReading(database: Database, object: ObjectDescription): Promise<string | null> {
  const earlier = await database
    .selectFrom('runFiles')
    .select('sha256')
    .where('bucket', '=', object.bucket)
    .where('objectKey', '=', object.key)
    .where('etag', '=', object.etag)
    .where('integrity', '!=', 'mismatch')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return earlier?.sha256 ?? null
}

async function* blamedOnStore(
  { bucket }: ObjectDescription,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes
  } catch (error) {
    throw blame(storeBreaker(bucket), error)
  }
}

/** Reads an object and compares its bytes with the digests that are stated for it, and with earlier readings. */
import { EARLIER_READING, type EarlierReadings, findEarlierReadings } from '../catalogue/contradictions.ts'
import type { Context } from '../context.ts'
import type { DigestComparison, Integrity, RunFile } from '../database/schema.ts'
import { InvalidInputError, TransientError } from '../errors.ts'
import { createChecksums } from '../extraction/checksums.ts'
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
  /** What was catalogued of this version before, if these are other bytes that no stated checksum supports. */
  readonly contradicts: RunFile | null
}

/**
 * Reads the object once, and a second time if a digest, the ETag or an earlier reading disagrees: the first
 * reading may have been faulty.
 * @throws TransientError when two readings differ and none agrees with what is stated, or when bytes that were
 * catalogued cannot be parsed this time; InvalidInputError when they are no longer the catalogued ones; what
 * reading throws.
 */
export async function extractAndCompare(
  context: Context<'database' | 's3'>,
  object: ObjectDescription,
  run: RunFileId,
  signal: AbortSignal,
): Promise<ComparedFile> {
  const earlier = await findEarlierReadings(context.database, object)
  const read = async () => compare(object, earlier, await extract(context, object, run, signal))
  const first = await read().catch(async (error: unknown) => {
    const before = earlier.undisputed
    if (before === null || !(error instanceof InvalidInputError)) throw error
    if ((await sha256Of(context, object, signal)) !== before.sha256) throw error
    throw new TransientError(`these are the bytes that were catalogued, but: ${error.message}`)
  })
  if (first.integrity === 'verified' || !isDoubtful(object, first)) return first
  const second = await read()
  if (second.integrity !== 'verified' && !isSameContent(first, second))
    throw new TransientError(`two readings of ${object.bucket}/${object.key} gave different bytes`)
  return second
}

const isDoubtful = (object: ObjectDescription, { integrity, contradicts, metadata }: ComparedFile) =>
  integrity === 'mismatch' || contradicts !== null || etagDiffers(object, metadata)

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

async function sha256Of(
  { s3 }: Context<'s3'>,
  object: ObjectDescription,
  signal: AbortSignal,
): Promise<string> {
  const checksums = createChecksums()
  for await (const chunk of blamedOnStore(object, readObject(s3, object, signal))) checksums.update(chunk)
  return (await checksums.digest()).sha256
}

function compare(
  object: ObjectDescription,
  { undisputed, disputedSha256 }: EarlierReadings,
  metadata: FileMetadata,
): ComparedFile {
  const comparisons = compareDigests(object.stated, metadata.checksums)
  const integrity = integrityOf(comparisons)
  const warnings = [...metadata.warnings, ...warningsOf(object, metadata, integrity)]
  const { sha256 } = metadata.checksums
  const contradicts =
    integrity === 'verified' || undisputed === null || undisputed.sha256 === sha256 ? null : undisputed
  const read = { metadata: { ...metadata, warnings }, contradicts }
  // A later attempt that reads the disputed bytes once more makes the earlier reading the odd one out.
  if (contradicts === null || disputedSha256 === sha256) return { ...read, comparisons, integrity }
  const wrong = {
    by: EARLIER_READING,
    algorithm: 'sha256',
    stated: contradicts.sha256,
    agrees: false,
  }
  return { ...read, comparisons: [...comparisons, wrong], integrity: 'mismatch' }
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

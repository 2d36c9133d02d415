/**
 * How a large object is divided into parts, and the resulting ETag. Limits: "Amazon S3 multipart upload
 * limits".
 */
import { createHash } from 'node:crypto'
import { InvalidInputError } from '../errors.ts'

const MIB = 1024 * 1024
export const SMALLEST_PART_BYTES = 5 * MIB
export const LARGEST_PART_BYTES = 5 * 1024 * MIB
const MOST_PARTS = 10_000

/** Every part but the last has `partSizeBytes`. One part means a single PUT. */
export interface UploadLayout {
  readonly partSizeBytes: number
  readonly partCount: number
}

/**
 * The layout for an object of this size: parts of the requested size, or larger ones, in whole MiB, if there
 * would be more than 10,000.
 * @throws InvalidInputError when the object is too large for any S3 store.
 */
export function layUpload(sizeBytes: number, wantedPartBytes: number): UploadLayout {
  const needed = Math.ceil(sizeBytes / MOST_PARTS / MIB) * MIB
  const partSizeBytes = Math.max(wantedPartBytes, needed)
  if (partSizeBytes > LARGEST_PART_BYTES)
    throw new InvalidInputError(`${sizeBytes} bytes are more than S3 allows for an object`, { sizeBytes })
  return { partSizeBytes, partCount: Math.max(1, Math.ceil(sizeBytes / partSizeBytes)) }
}

/** Offset and length of part `number` (from 1) in the object, bytes. */
export function partRange(
  sizeBytes: number,
  layout: UploadLayout,
  number: number,
): { readonly start: number; readonly length: number } {
  const start = (number - 1) * layout.partSizeBytes
  return { start, length: Math.min(layout.partSizeBytes, sizeBytes - start) }
}

/** The ETag of an object that was sent in parts: MD5 of the parts' MD5s, `-`, their number. */
export function multipartEtag(partMd5s: readonly string[]): string {
  const md5 = createHash('md5')
  for (const part of partMd5s) md5.update(part, 'hex')
  return `${md5.digest('hex')}-${partMd5s.length}`
}

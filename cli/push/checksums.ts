/** The checksums of a file and of the parts in which it is sent, in one pass over the disk. */
import { createHash } from 'node:crypto'
import { createChecksums } from '../../shared/extraction/checksums.ts'
import { multipartEtag, partRange, type UploadLayout } from '../../shared/storage/upload-layout.ts'
import type { LocalFile } from './local-file.ts'

/** All lower-case hex. */
export interface FileChecksums {
  readonly md5: string
  readonly sha256: string
  readonly adler32: string
  /** MD5 of each part, the first one first. */
  readonly partMd5s: readonly string[]
  /** The ETag of the object where ETags are MD5s. */
  readonly etag: string
}

/**
 * Reads the whole file.
 * @throws InvalidInputError when it cannot be read or has become shorter; the signal's reason.
 */
export async function checksumFile(
  file: LocalFile,
  layout: UploadLayout,
  onProgress: (doneBytes: number) => void,
  signal: AbortSignal,
): Promise<FileChecksums> {
  const whole = createChecksums()
  const partMd5s: string[] = []
  for (let number = 1; number <= layout.partCount; number++) {
    const { start, length } = partRange(file.sizeBytes, layout, number)
    const part = layout.partCount === 1 ? null : createHash('md5')
    for await (const chunk of file.read(start, length)) {
      signal.throwIfAborted()
      whole.update(chunk)
      part?.update(chunk)
      onProgress(whole.sizeBytes)
    }
    if (part !== null) partMd5s.push(part.digest('hex'))
  }
  const { md5, sha256, adler32 } = await whole.digest()
  if (layout.partCount === 1) return { md5, sha256, adler32, partMd5s: [md5], etag: md5 }
  return { md5, sha256, adler32, partMd5s, etag: multipartEtag(partMd5s) }
}

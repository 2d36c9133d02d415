/**
 * Extraction: one pass over a run file yields its checksums and everything that the catalogue stores about
 * it.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { ByteSource } from '../midas/decompress/byte-source.ts'
import { assembleMetadata } from './assemble.ts'
import { createChecksums, type FurtherDigest, type RunningChecksums } from './checksums.ts'
import type { FileMetadata } from './metadata.ts'
import { BZIP2, IGZIP, type Programs, walkFile } from './walk-file.ts'

export interface FileSource {
  readonly fileName: string
  /** Opens the file from its start; called again when damage must be located precisely. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>
}

export interface ExtractionOptions {
  /** auto: decompress gzip with the igzip program where it is installed. The results are the same. */
  readonly igzip: 'auto' | 'never'
  /** A larger event is treated as a damaged header. */
  readonly maxEventBytes: number
  readonly digests?: readonly FurtherDigest[]
  /** Also compute the ETag of a multipart upload with parts of this size. */
  readonly partBytes?: number | null
  readonly signal: AbortSignal
  /** Called with the bytes of the file read so far. */
  readonly onProgress?: (bytes: number) => void
  /** For tests: which programs may decompress, and from which size on. */
  readonly programs?: Programs
}

/** Below this size, decompression is faster than starting a program. */
const PROGRAM_MINIMUM_BYTES = 2 * 1024 * 1024
/** Hashed at once; in between, this thread serves the decompressor. */
const SLICE_BYTES = 128 * 1024

/**
 * Reads a run file once, with constant memory at any size. The checksums always cover the whole file, even if
 * its contents end early. A faulty file yields a partial result with `complete: false`.
 * @throws InvalidInputError when the file has no readable contents, is not a MIDAS file, or is a
 * decompression bomb; what `open` throws; the signal's reason when it is aborted.
 */
export async function extractFile(source: FileSource, options: ExtractionOptions): Promise<FileMetadata> {
  const { signal } = options
  const programs = options.programs ?? {
    gzip: options.igzip === 'auto' ? IGZIP : null,
    bzip2: BZIP2,
    minimumBytes: PROGRAM_MINIMUM_BYTES,
  }
  const checksums = createChecksums(options.digests, options.partBytes ?? null)
  const input = hashed(source.open(signal), checksums, options)
  try {
    const bytes = new ByteSource(input)
    const file = await walkFile(bytes, () => source.open(signal), {
      maxEventBytes: options.maxEventBytes,
      programs,
      signal,
    })
    while ((await bytes.take(SLICE_BYTES)) !== null);
    return assembleMetadata(source.fileName, file, {
      sizeBytes: checksums.sizeBytes,
      checksums: await checksums.digest(),
    })
  } finally {
    await input.return(undefined)
  }
}

/**
 * Yields a file's pieces, and hashes each only when the next is requested: by then the first is being
 * decompressed in another thread.
 */
async function* hashed(
  file: AsyncIterable<Uint8Array>,
  checksums: RunningChecksums,
  options: ExtractionOptions,
): AsyncGenerator<Uint8Array> {
  for await (const piece of file) {
    options.signal.throwIfAborted()
    yield piece
    for (let at = 0; at < piece.length; at += SLICE_BYTES) {
      checksums.update(piece.subarray(at, at + SLICE_BYTES))
      if (at + SLICE_BYTES < piece.length) await turn()
    }
    options.onProgress?.(checksums.sizeBytes)
  }
}

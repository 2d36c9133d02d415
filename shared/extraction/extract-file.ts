/** Extraction: one pass over a run file gives its checksums and everything the catalogue keeps about it. */
import { setImmediate as turn } from 'node:timers/promises'
import { ByteSource } from '../midas/decompress/byte-source.ts'
import { assembleMetadata } from './assemble.ts'
import { createChecksums, type FurtherDigest, type RunningChecksums } from './checksums.ts'
import type { FileMetadata } from './metadata.ts'
import { BZIP2, IGZIP, type Programs, walkFile } from './walk-file.ts'

export interface FileSource {
  readonly fileName: string
  /** Gives the file from its start; called again when damage must be looked at more closely. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>
}

export interface ExtractionOptions {
  /** auto: gzip through the igzip program where it is installed. The results are the same. */
  readonly igzip: 'auto' | 'never'
  /** A larger event is taken for a damaged header. */
  readonly maxEventBytes: number
  readonly digests?: readonly FurtherDigest[]
  /** Also compute the ETag of an upload in parts of so many bytes. */
  readonly partBytes?: number | null
  readonly signal: AbortSignal
  /** Called with the bytes of the file read so far. */
  readonly onProgress?: (bytes: number) => void
  /** For tests: which programs may decompress, and from which size on. */
  readonly programs?: Programs
}

/** Below this, decompressing takes less time than starting a program. */
const PROGRAM_MINIMUM_BYTES = 2 * 1024 * 1024
/** Hashed in one go; between two, this thread serves whoever decompresses. */
const SLICE_BYTES = 128 * 1024

/**
 * Reads a run file once, in flat memory whatever its size. The checksums cover all of it, also where its
 * contents end early. A faulty file gives a partial result with `complete: false`.
 * @throws InvalidInputError when there is nothing readable in it, it is no MIDAS file, or a decompression
 * bomb; whatever `open` throws; the signal's reason when it is aborted.
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
 * Hands out a file's pieces and hashes each only when the next is asked for: by then the first is being
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

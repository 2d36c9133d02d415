/** The compressions of the MIDAS logger, as streams. */
import { spawn } from 'node:child_process'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { InvalidInputError } from '../../shared/errors.ts'
import type { Compression } from '../../shared/midas/decompress/decoder.ts'
import { lz4Frame } from './lz4.ts'

export type { Compression }
export const compressions: readonly Compression[] = ['gzip', 'lz4', 'bzip2', 'none']

/** What the logger appends to the file name. */
export const compressionEnding: Readonly<Record<Compression, string>> = {
  gzip: '.gz',
  lz4: '.lz4',
  bzip2: '.bz2',
  none: '',
}

export interface CompressOptions {
  /** Of gzip, 1 to 9; 1 keeps up with the camera. */
  readonly gzipLevel?: number
  readonly signal?: AbortSignal
}

/**
 * Compresses a stream. bzip2 runs the program of that name.
 * @throws InvalidInputError when the program bzip2 is needed and not installed.
 */
export function compress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  options: CompressOptions = {},
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none':
      return source
    case 'lz4':
      return lz4Frame(source)
    case 'gzip':
      return throughGzip(source, options)
    case 'bzip2':
      return throughBzip2(source, options)
  }
}

async function* throughGzip(
  source: AsyncIterable<Uint8Array>,
  options: CompressOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const gzip = createGzip({ level: options.gzipLevel ?? 1, chunkSize: 1 << 20 })
  const done = pipeline(source, gzip, { signal: options.signal })
  // The reader below gets a failure as an error of the stream; without this it would also be unhandled.
  done.catch(() => undefined)
  yield* gzip
  await done
}

async function* throughBzip2(
  source: AsyncIterable<Uint8Array>,
  options: CompressOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const child = spawn('bzip2', ['-c', '-1'], { stdio: ['pipe', 'pipe', 'inherit'], signal: options.signal })
  const exited = new Promise<void>((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const missing = cause.code === 'ENOENT'
      reject(
        missing
          ? new InvalidInputError('simulate: bzip2 is not installed (apt-get install bzip2)', {}, { cause })
          : cause,
      )
    })
    child.once('close', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`bzip2 ended with ${signal ?? code}`)),
    )
  })
  const fed = pipeline(source, child.stdin, { signal: options.signal })
  // Both are awaited after the output; without this an earlier failure would be unhandled.
  exited.catch(() => undefined)
  fed.catch(() => undefined)
  try {
    yield* child.stdout
    await exited
    await fed
  } finally {
    if (child.exitCode === null) child.kill()
  }
}

/** Checks whether a file is complete, by its last bytes (gzip: by decompressing it). */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { EVENT_END_OF_RUN, EVENT_HEADER_BYTES, MIDAS_MAGIC } from '../../shared/midas/format.ts'
import type { RunFileFound } from './scan.ts'

export type Ending =
  | { readonly whole: true }
  /**
   * `doubt`: why it seems incomplete, as a clause about the file; null when it is not known.
   */
  | { readonly whole: false; readonly doubt: string | null }

const WHOLE: Ending = { whole: true }
const UNKNOWN: Ending = { whole: false, doubt: null }

/** The end-of-run event holds a dump of the ODB: 0.1 to 1 MB at the experiment. */
const LARGEST_DUMP_BYTES = 16 * 1024 * 1024
const FIRST_TAIL_BYTES = 1024 * 1024

/** Only reads. A file that cannot be read is of unknown ending. @throws only the signal's reason. */
export async function readEnding(file: RunFileFound, signal: AbortSignal): Promise<Ending> {
  try {
    switch (file.run.compression) {
      case 'none':
        return await endingOfMidas(file)
      case 'gzip':
        return await endingOfGzip(file.path, signal)
      case 'lz4':
        return endsAsLz4(await readTail(file, 8)) ? WHOLE : UNKNOWN
      case 'bzip2':
        return endsAsBzip2(await readTail(file, 11)) ? WHOLE : UNKNOWN
    }
  } catch {
    signal.throwIfAborted()
    return UNKNOWN
  }
}

async function readTail({ path, sizeBytes }: RunFileFound, wantedBytes: number): Promise<Buffer> {
  const length = Math.min(wantedBytes, sizeBytes)
  const handle = await open(path)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, sizeBytes - length)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** An end-of-run event whose data ends where the file ends. */
async function endingOfMidas(file: RunFileFound): Promise<Ending> {
  for (const bytes of [FIRST_TAIL_BYTES, LARGEST_DUMP_BYTES]) {
    if (endsWithEndOfRun(await readTail(file, bytes))) return WHOLE
    if (bytes >= file.sizeBytes) break
  }
  return { whole: false, doubt: 'it does not end in an end-of-run event' }
}

function endsWithEndOfRun(tail: Buffer): boolean {
  const start = Buffer.alloc(4)
  start.writeUInt16LE(EVENT_END_OF_RUN, 0)
  start.writeUInt16LE(MIDAS_MAGIC, 2)
  for (let at = tail.lastIndexOf(start); at >= 0; at = at === 0 ? -1 : tail.lastIndexOf(start, at - 1))
    if (
      at + EVENT_HEADER_BYTES <= tail.length &&
      at + EVENT_HEADER_BYTES + tail.readUInt32LE(at + 12) === tail.length
    )
      return true
  return false
}

/**
 * The trailer alone proves nothing: any eight bytes can be one. So the whole stream is decompressed, in another
 * thread.
 */
async function endingOfGzip(path: string, signal: AbortSignal): Promise<Ending> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  try {
    await pipeline(
      createReadStream(path, { highWaterMark: 1024 ** 2 }),
      createGunzip({ chunkSize: 1024 ** 2 }),
      nowhere,
      { signal },
    )
    return WHOLE
  } catch (error) {
    signal.throwIfAborted()
    // Damage in the middle or garbage behind the end is not evidence of an incomplete file.
    if ((error as NodeJS.ErrnoException).code !== 'Z_BUF_ERROR') return UNKNOWN
    return { whole: false, doubt: 'its compressed data end in the middle' }
  }
}

/**
 * End mark (an empty block), then the checksum of the content (LZ4 frame format 1.6.1), as loggers write
 * them.
 */
const endsAsLz4 = (tail: Buffer) => tail.length === 8 && tail.readUInt32LE(0) === 0

/** 48 bits of signature and 32 of checksum, at any bit, padded to a byte. */
const BZIP2_END = 0x177245385090n

function endsAsBzip2(tail: Buffer): boolean {
  const bits = BigInt(`0x0${tail.toString('hex')}`)
  return [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n].some(
    (padding) => ((bits >> (padding + 32n)) & 0xffffffffffffn) === BZIP2_END,
  )
}

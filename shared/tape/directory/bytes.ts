/** Writes and reads bytes of a disk. */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { InvalidInputError, TransientError } from '../../errors.ts'
import type { TapeFile } from '../driver.ts'
import { hasCode } from './errors.ts'

/** Size of one read or write, bytes: large enough that the overhead of Node's thread pool does not matter. */
const CHUNK_BYTES = 1024 ** 2
const WASM_PAGE_BYTES = 64 * 1024

/**
 * Writes the source's bytes and verifies that they are the file's. While one megabyte is written, the next is
 * collected and hashed.
 * @throws InvalidInputError when they differ; never more bytes than the file's size are written.
 */
export async function writeFile(
  handle: FileHandle,
  file: TapeFile,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const sha256 = createHash('sha256')
  const writer = createWriter(handle)
  let sizeBytes = 0
  try {
    for await (const chunk of source) {
      signal.throwIfAborted()
      sizeBytes += chunk.length
      if (sizeBytes > file.sizeBytes) throw otherBytes(file, `gives more than its ${file.sizeBytes} bytes`)
      sha256.update(chunk)
      await writer.write(chunk)
    }
  } finally {
    await writer.end()
  }
  if (sizeBytes < file.sizeBytes) throw otherBytes(file, `ends after ${sizeBytes} of ${file.sizeBytes} bytes`)
  const found = sha256.digest('hex')
  if (found !== file.sha256)
    throw otherBytes(file, `has the SHA-256 ${found}, the catalogue states ${file.sha256}`)
}

const otherBytes = (file: TapeFile, how: string) =>
  new InvalidInputError(`the source of ${file.name} ${how}: it is not the file that was catalogued`, {
    file: file.name,
  })

/** Collects chunks into whole megabytes, and writes one while the next is collected. */
function createWriter(handle: FileHandle) {
  let [collecting, other] = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)]
  let used = 0
  let position = 0
  let writing: Promise<void> = Promise.resolve()
  const flush = async () => {
    await writing
    writing = writeAll(handle, collecting.subarray(0, used), position)
    // Awaited by the next flush; until then a failure must not count as unhandled.
    writing.catch(() => {})
    position += used
    ;[collecting, other, used] = [other, collecting, 0]
  }
  return {
    async write(chunk: Uint8Array): Promise<void> {
      for (let taken = 0; taken < chunk.length; ) {
        const piece = chunk.subarray(taken, taken + CHUNK_BYTES - used)
        collecting.set(piece, used)
        used += piece.length
        taken += piece.length
        if (used === CHUNK_BYTES) await flush()
      }
    },
    async end(): Promise<void> {
      if (used > 0) await flush()
      await writing
    },
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
    // POSIX allows a short write on a full disk; the next write then fails with ENOSPC.
    done += bytesWritten
  }
}

/**
 * The SHA-256 and size of a file. Bypasses the page cache where the file system allows it (O_DIRECT: local
 * disks, NFS), so that the bytes come from the device or the server. Elsewhere (LTFS and other FUSE, macOS)
 * they may come from the kernel's memory and prove only that the data handed over were complete and in order;
 * fsync alone then reports that they are on the medium, until the scrub reads them from there weeks later.
 */
export async function readBack(
  path: string,
  signal: AbortSignal,
): Promise<{ readonly sha256: string; readonly sizeBytes: number }> {
  if (DIRECT !== 0) {
    try {
      return await hashFile(path, DIRECT, signal)
    } catch (error) {
      if (!hasCode(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP')) throw error
    }
  }
  return await hashFile(path, 0, signal)
}

/** Only Linux has this flag. */
const DIRECT = constants.O_DIRECT ?? 0

/** Provided by Node, but missing in its types. */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
}

async function hashFile(path: string, flags: number, signal: AbortSignal) {
  const sha256 = createHash('sha256')
  // O_DIRECT requires page-aligned memory: Node's buffers are not aligned, WebAssembly's memory always is.
  const pages = CHUNK_BYTES / WASM_PAGE_BYTES
  const chunk =
    flags === 0
      ? Buffer.allocUnsafe(CHUNK_BYTES)
      : new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer)
  const handle = await open(path, READ_PLAIN | flags)
  try {
    for (let sizeBytes = 0; ; ) {
      signal.throwIfAborted()
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, sizeBytes)
      if (bytesRead === 0) return { sha256: sha256.digest('hex'), sizeBytes }
      sha256.update(chunk.subarray(0, bytesRead))
      sizeBytes += bytesRead
    }
  } finally {
    await handle.close()
  }
}

/** Does not follow a link or wait for a pipe. */
const READ_PLAIN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** The bytes of a file of this size. @throws TransientError when it has another size. */
export async function* readPlain(
  path: string,
  sizeBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const handle = await open(path, READ_PLAIN)
  try {
    const { size } = await handle.stat()
    if (size !== sizeBytes) throw new TransientError(`${path} has ${size} bytes instead of ${sizeBytes}`)
    for (let offset = 0; offset < sizeBytes; ) {
      signal.throwIfAborted()
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, sizeBytes - offset))
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, offset)
      if (bytesRead === 0) throw new TransientError(`${path} ended after ${offset} of ${sizeBytes} bytes`)
      offset += bytesRead
      yield chunk.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

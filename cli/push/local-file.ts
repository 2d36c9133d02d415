/**
 * A file on the DAQ's disk while it is being sent. It is read through one open descriptor, and the path must
 * still lead to the same unchanged file at the end: otherwise the object would hold contents that the file never
 * had.
 */
import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readlink } from 'node:fs/promises'
import { InvalidInputError } from '../../shared/errors.ts'
import { RefusedError } from './result.ts'

export interface LocalFile extends AsyncDisposable {
  readonly path: string
  readonly sizeBytes: number
  /** The bytes from `start` on, in order. */
  read(start: number, length: number): AsyncGenerator<Uint8Array>
  /** @throws InvalidInputError when the path leads to another file, or the file was changed since it was opened. */
  assertUnchanged(): Promise<void>
}

/** One read from the disk, bytes. */
const CHUNK_BYTES = 256 * 1024

/**
 * Opens a file to be sent.
 * @throws RefusedError when it is not a plain file or is empty, InvalidInputError when it is missing or cannot
 * be read.
 */
export async function openLocalFile(path: string): Promise<LocalFile> {
  const before = await lstat(path, { bigint: true }).catch(explain(path))
  await refuseOtherThanFiles(path, before)
  // If the path has become a link or a pipe since, opening it fails or returns immediately: a link is not
  // followed, and a pipe does not block.
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    explain(path),
  )
  try {
    const opened = await handle.stat({ bigint: true })
    const change = difference(before, opened)
    if (change !== null)
      throw new InvalidInputError(
        `${path} changed while it was being opened (${change}); push it again when it is closed`,
      )
  } catch (error) {
    await handle.close()
    throw error
  }
  return {
    path,
    sizeBytes: Number(before.size),
    read: (start, length) => readRange(handle, path, start, length),
    async assertUnchanged() {
      const now = await lstat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT')
          throw new InvalidInputError(`${path} was removed or renamed while it was being read`)
        return explain(path)(error)
      })
      const change = difference(before, now)
      if (change !== null) throw changed(path, change)
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

interface Stat {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  isFile(): boolean
  isDirectory(): boolean
  isSymbolicLink(): boolean
}

async function refuseOtherThanFiles(path: string, stat: Stat): Promise<void> {
  if (stat.isSymbolicLink()) {
    const target = await readlink(path).catch(() => 'another file')
    throw new RefusedError(`${path} is a symbolic link to ${target}; give the file itself`)
  }
  if (stat.isDirectory()) throw new RefusedError(`${path} is a directory; give the files in it`)
  if (!stat.isFile()) throw new RefusedError(`${path} is a device, a pipe or a socket, not a file`)
  if (stat.size === 0n) throw new RefusedError(`${path} is empty`)
}

function difference(before: Stat, now: Stat): string | null {
  if (now.ino !== before.ino || now.dev !== before.dev) return 'it was replaced by another file'
  if (now.size !== before.size) return `its size changed from ${before.size} to ${now.size} bytes`
  if (now.mtimeNs !== before.mtimeNs) return 'it was written to'
  return null
}

const changed = (path: string, change: string) =>
  new InvalidInputError(
    `${path} changed while it was being read (${change}); push it again when the DAQ has closed it`,
  )

async function* readRange(
  handle: FileHandle,
  path: string,
  start: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  for (let offset = start; offset < start + length; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, start + length - offset))
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, offset).catch(explain(path))
    if (bytesRead === 0) throw changed(path, `its size is ${offset} bytes now`)
    offset += bytesRead
    yield chunk.subarray(0, bytesRead)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file: a part of the path is not a directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'it is a symbolic link; give the file itself',
  ENAMETOOLONG: 'the name is too long',
  EIO: 'the disk failed to read it',
  ESTALE: 'stale handle of the network file system',
  EMFILE: 'this process has too many files open',
}

/** Rethrows an error of the file system as a sentence that names the file. */
function explain(path: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    const reason = REASONS[error.code ?? ''] ?? error.message
    throw new InvalidInputError(`${path} cannot be read: ${reason}`, {}, { cause: error })
  }
}

/**
 * A file that is being fetched: `NAME.part`, and `NAME.part.json` with the list of complete pieces. The file
 * gets its name when it is complete and compared. Pieces are written in any order; after an interruption
 * complete pieces are not fetched again.
 */
import { createReadStream, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { type FileHandle, open, rename, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as z from 'zod'
import { InvalidInputError } from '../../shared/errors.ts'
import { createChecksums } from '../../shared/extraction/checksums.ts'
import { bytes } from '../output.ts'
import { isDiskFull } from '../push/lock.ts'
import type { WantedFile } from './wanted-file.ts'

export interface Piece {
  readonly index: number
  readonly start: number
  /** The byte after the last. */
  readonly end: number
}

export interface PartialFile {
  /** Pieces that are not complete. */
  readonly missing: readonly Piece[]
  /** Bytes of the complete pieces. */
  readonly presentBytes: number
  /** ETag of the version that the pieces came from; null before the first piece. */
  etag: string | null
  write(chunk: Uint8Array, at: number): Promise<void>
  /** Records that a piece is complete. */
  finish(piece: Piece): void
  close(): Promise<void>
  /**
   * Compares the file with the checksums of the catalogue and gives it its name.
   * @throws InvalidInputError when they differ; then nothing is kept.
   */
  complete(onProgress: (doneBytes: number) => void, signal: AbortSignal): Promise<void>
}

const stateSchema = z.object({
  md5: z.string(),
  sizeBytes: z.int().nonnegative(),
  pieceBytes: z.int().positive(),
  etag: z.string().nullable(),
  done: z.array(z.int().nonnegative()),
})
type State = z.infer<typeof stateSchema>

/** @throws InvalidInputError when there is no room on the disk, or the file cannot be written. */
export async function openPartialFile(
  path: string,
  wanted: WantedFile,
  pieceBytes: number,
): Promise<PartialFile> {
  const part = `${path}.part`
  const statePath = `${part}.json`
  const known = readState(statePath)
  const resumes =
    known !== null &&
    known.md5 === wanted.md5 &&
    known.sizeBytes === wanted.sizeBytes &&
    known.pieceBytes === pieceBytes
  const file = await openPart(part, resumes)
  const done = new Set(resumes && file.kept ? known.done : [])
  const pieces = cut(wanted.sizeBytes, pieceBytes)
  const present = pieces.filter(({ index }) => done.has(index))
  const presentBytes = present.reduce((sum, { start, end }) => sum + end - start, 0)
  let etag = present.length > 0 ? (known?.etag ?? null) : null
  await checkRoom(path, wanted.sizeBytes - presentBytes).catch(async (error) => {
    await file.handle.close()
    if (!file.kept) rmSync(part, { force: true })
    throw error
  })
  return {
    missing: pieces.filter(({ index }) => !done.has(index)),
    presentBytes,
    get etag() {
      return etag
    },
    set etag(value) {
      etag = value
    },
    write: (chunk, at) => writeAll(file.handle, chunk, at).catch(explain(path)),
    finish({ index }) {
      done.add(index)
      writeState(statePath, {
        md5: wanted.md5,
        sizeBytes: wanted.sizeBytes,
        pieceBytes,
        etag,
        done: [...done],
      })
    },
    close: () => file.handle.close(),
    async complete(onProgress, signal) {
      await file.handle.truncate(wanted.sizeBytes)
      await file.handle.sync().catch(explain(path))
      const differs = await difference(part, wanted, onProgress, signal)
      if (differs === null) await rename(part, path)
      else rmSync(part, { force: true })
      rmSync(statePath, { force: true })
      if (differs !== null)
        throw new InvalidInputError(
          `the received bytes differ from the catalogue: ${differs}. Nothing was kept; try again`,
        )
    },
  }
}

async function openPart(
  part: string,
  resumes: boolean,
): Promise<{ readonly handle: FileHandle; readonly kept: boolean }> {
  if (resumes) {
    const handle = await open(part, 'r+').catch(() => null)
    if (handle !== null) return { handle, kept: true }
  }
  return { handle: await open(part, 'w').catch(explain(part)), kept: false }
}

const cut = (sizeBytes: number, pieceBytes: number): readonly Piece[] =>
  Array.from({ length: Math.ceil(sizeBytes / pieceBytes) }, (_, index) => ({
    index,
    start: index * pieceBytes,
    end: Math.min((index + 1) * pieceBytes, sizeBytes),
  }))

/** The difference between a file and the catalogue as text; null when they agree. */
export async function difference(
  path: string,
  wanted: WantedFile,
  onProgress: (doneBytes: number) => void,
  signal: AbortSignal,
): Promise<string | null> {
  const checksums = createChecksums()
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 ** 2, signal })) {
    checksums.update(chunk)
    onProgress(checksums.sizeBytes)
  }
  const { md5, adler32 } = await checksums.digest()
  if (checksums.sizeBytes !== wanted.sizeBytes)
    return `${checksums.sizeBytes} bytes instead of ${wanted.sizeBytes}`
  if (md5 !== wanted.md5) return `md5 ${md5} instead of ${wanted.md5}`
  return adler32 === wanted.adler32 ? null : `adler32 ${adler32} instead of ${wanted.adler32}`
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, at: number): Promise<void> {
  for (let written = 0; written < chunk.length; )
    written += (await handle.write(chunk, written, chunk.length - written, at + written)).bytesWritten
}

async function checkRoom(path: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path))
  if (bavail * bsize < neededBytes)
    throw noRoom(path, `${bytes(neededBytes)} are needed, ${bytes(bavail * bsize)} are free`)
}

const noRoom = (path: string, detail: string, cause?: unknown) =>
  new InvalidInputError(`no room on the disk of ${dirname(path)}: ${detail}`, { disk: true }, { cause })

const explain =
  (path: string) =>
  (error: unknown): never => {
    if (isDiskFull(error))
      throw noRoom(path, 'it is full; the received part is kept, and the same command resumes it', error)
    if (error instanceof Error && 'code' in error)
      throw new InvalidInputError(`${path} cannot be written: ${error.message}`, {}, { cause: error })
    throw error
  }

function readState(path: string): State | null {
  try {
    return stateSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return null
  }
}

function writeState(path: string, state: State): void {
  writeFileSync(`${path}.new`, JSON.stringify(state))
  renameSync(`${path}.new`, path)
}

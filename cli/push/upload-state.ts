/**
 * The state of an unfinished multipart upload on this machine: a small file for each key, in a private folder
 * and not in the DAQ's. A kill leaves the old or the new content, never a part of it.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { writePrivateFile } from '../../infra/local/secrets.ts'
import { ConflictError, InvalidInputError } from '../../shared/errors.ts'
import type { ObjectName } from '../../shared/run.ts'
import { isDiskFull, releaseLock, takeLock } from './lock.ts'

const schema = z.object({
  bucket: z.string(),
  key: z.string(),
  /** The path of the file, for information only: the upload is identified by its content. */
  file: z.string(),
  sizeBytes: z.int().positive(),
  md5: z.string(),
  sha256: z.string(),
  partSizeBytes: z.int().positive(),
  /** Null between the decision to begin an upload and the store's answer. */
  uploadId: z.string().nullable(),
  etagIsMd5: z.boolean(),
  begunAt: z.iso.datetime(),
})
export type UploadState = Readonly<z.infer<typeof schema>>

/** Disposing of it releases the lock of the key. */
export interface UploadStateFile extends Disposable {
  /** Null when there is no state, or it cannot be read. */
  read(): UploadState | null
  /** On a full disk the state is held in memory: the upload goes on, but after a kill it starts again. */
  write(state: UploadState): void
  remove(): void
}

/**
 * Opens the state of a key and locks it for this process. Two pushes of one key at the same time would not
 * damage the object, but would do the work twice and abort each other's upload.
 * @throws ConflictError while another process has it, InvalidInputError when the folder cannot be written to.
 */
export function openUploadState(folder: string, store: string, { bucket, key }: ObjectName): UploadStateFile {
  const name = createHash('sha256')
    .update(JSON.stringify([store, bucket, key]))
    .digest('hex')
    .slice(0, 32)
  const path = join(folder, `${name}.json`)
  const lock = join(folder, `${name}.lock`)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const holder = takeLock(lock)
    if (holder !== null) throw new ConflictError(`process ${holder} is sending ${bucket}/${key} right now`)
  } catch (error) {
    if (error instanceof ConflictError) throw error
    const reason = (error as NodeJS.ErrnoException).code ?? String(error)
    throw new InvalidInputError(
      `${folder}, the folder for the state of unfinished uploads, cannot be written to (${reason}); set another folder in CYGNET_FOLDER`,
      {},
      { cause: error },
    )
  }
  let unwritten: UploadState | null = null
  return {
    read: () => unwritten ?? readState(path),
    write(state) {
      unwritten = null
      try {
        writePrivateFile(path, `${JSON.stringify(state, null, 2)}\n`)
      } catch (error) {
        if (!isDiskFull(error)) throw error
        unwritten = state
      }
    },
    remove() {
      unwritten = null
      rmSync(path, { force: true })
    },
    [Symbol.dispose]: () => releaseLock(lock),
  }
}

function readState(path: string): UploadState | null {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return null
  }
}

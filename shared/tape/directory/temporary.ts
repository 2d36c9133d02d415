/** The temporary file of a copy, and how it gets its final name without taking it from another file. */
import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { type FileHandle, lstat, open, opendir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isTemporary } from '../names.ts'
import { hasCode } from './errors.ts'

/**
 * A unique name, also among copies of the same file: a temporary file shared by two copies would have mixed
 * contents.
 */
const temporaryName = (runNumber: number) => `.cygnet-${runNumber}-${randomBytes(6).toString('hex')}.part`

/** A temporary file not written to for this long was left by a crash: no copy may take that long. */
const LEFT_OVER_MS = 3_600_000

export interface Temporary extends AsyncDisposable {
  readonly path: string
  readonly handle: FileHandle
}

/**
 * Creates a file next to the final one. It is removed on disposal, unless it has been renamed by then. Files
 * left by crashes are removed as well.
 */
export async function createTemporary(folder: string, runNumber: number): Promise<Temporary> {
  const path = join(folder, temporaryName(runNumber))
  const handle = await open(path, 'wx', 0o640)
  const temporary: Temporary = {
    path,
    handle,
    async [Symbol.asyncDispose]() {
      await handle.close().catch(() => {})
      await unlink(path).catch(() => {})
    },
  }
  try {
    await removeLeftOvers(folder, (await handle.stat()).mtimeMs - LEFT_OVER_MS)
  } catch (error) {
    await temporary[Symbol.asyncDispose]()
    throw error
  }
  return temporary
}

/** Ages are compared with a file just created: the file server's clock may differ from ours. */
async function removeLeftOvers(folder: string, beforeMs: number): Promise<void> {
  for await (const entry of await opendir(folder)) {
    if (!isTemporary(entry.name)) continue
    const path = join(folder, entry.name)
    const stat = await lstat(path).catch(() => null)
    if (stat?.isFile() === true && stat.mtimeMs < beforeMs) await unlink(path).catch(() => {})
  }
}

/** The mode of an empty file that reserves a name for a moment. */
const RESERVED_MODE = 0o200
const RESERVED_MS = 60_000

/**
 * Whether this is an empty file with which another copy has just reserved the name, to replace it at once.
 */
export const isReservation = (stat: Stats, nowMs: number): boolean =>
  stat.size === 0 && (stat.mode & 0o777) === RESERVED_MODE && nowMs - stat.ctimeMs < RESERVED_MS

/** Gives a file a second name: `link` of the file system, which fails when the name is taken. */
export type HardLink = (existing: string, path: string) => Promise<void>

/**
 * Gives the temporary file its final name; returns false when a file has it. `link` decides that atomically,
 * also between machines. Where there are no hard links (LTFS, some NFS and FUSE), an empty file is created
 * under the name, which also fails when it is taken, and the temporary file then replaces that empty file of
 * ours.
 */
export async function claimName(temporary: string, path: string, hardLink: HardLink): Promise<boolean> {
  try {
    await hardLink(temporary, path)
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    if (hasCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL'))
      return await reserveAndRename(temporary, path)
    throw error
  }
  await unlink(temporary).catch(() => {}) // if this fails, it is removed later as a left-over
  return true
}

async function reserveAndRename(temporary: string, path: string): Promise<boolean> {
  const reservation = await open(path, 'wx', RESERVED_MODE).catch((error: unknown) => {
    if (hasCode(error, 'EEXIST')) return null
    throw error
  })
  if (reservation === null) return false
  const { ino } = await reservation.stat().finally(() => reservation.close())
  const isStillOurs = async () => {
    const now = await lstat(path).catch(() => null)
    return now !== null && now.ino === ino && now.size === 0
  }
  if (!(await isStillOurs())) return false
  try {
    await rename(temporary, path)
    return true
  } catch (error) {
    if (await isStillOurs()) await unlink(path).catch(() => {})
    throw error
  }
}

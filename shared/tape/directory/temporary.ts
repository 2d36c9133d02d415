/**
 * The temporary under which a copy is written, and how it gets its name without ever taking it from another
 * file.
 */
import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { type FileHandle, lstat, open, opendir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isTemporary } from '../names.ts'
import { hasCode } from './errors.ts'

/**
 * A name no other copy has, not even one of the same file: a temporary taken over by two would be neither's
 * file.
 */
const temporaryName = (runNumber: number) => `.cygnet-${runNumber}-${randomBytes(6).toString('hex')}.part`

/** A temporary nobody wrote to for so long was left by a crash: no copy is allowed to take that long. */
const LEFT_OVER_MS = 3_600_000

export interface Temporary extends AsyncDisposable {
  readonly path: string
  readonly handle: FileHandle
}

/**
 * A new file beside the one to be; gone when it is disposed of, unless it has its name by then. Left-overs of
 * crashes go too.
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

/** Times are compared with that of a file just made: a file server's clock need not be ours. */
async function removeLeftOvers(folder: string, beforeMs: number): Promise<void> {
  for await (const entry of await opendir(folder)) {
    if (!isTemporary(entry.name)) continue
    const path = join(folder, entry.name)
    const stat = await lstat(path).catch(() => null)
    if (stat?.isFile() === true && stat.mtimeMs < beforeMs) await unlink(path).catch(() => {})
  }
}

/** The mode of an empty file that holds a name for a moment. */
const RESERVED_MODE = 0o200
const RESERVED_MS = 60_000

/**
 * True for an empty file that another copy has put under the name just now, to replace it in the next moment.
 */
export const isReservation = (stat: Stats, nowMs: number): boolean =>
  stat.size === 0 && (stat.mode & 0o777) === RESERVED_MODE && nowMs - stat.ctimeMs < RESERVED_MS

/** How a file gets a second name: `link` of the file system, which fails when the name is taken. */
export type HardLink = (existing: string, path: string) => Promise<void>

/**
 * Gives the temporary its name, unless a file has it: false then. `link` decides that in one step, also
 * between machines. Where there are no hard links (LTFS, some NFS and FUSE), an empty file is made under the
 * name, which fails just so when it is taken, and the temporary replaces that empty file of ours.
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
  await unlink(temporary).catch(() => {}) // another name of the same file, swept later
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

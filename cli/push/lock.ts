/**
 * A small file that says which process of this machine is at a piece of work. One that a killed process left
 * does not count.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import { identify, isRunning, type ProcessIdentity } from '../../infra/local/identity.ts'

const schema = z.object({
  pid: z.int().positive(),
  startTicks: z.string().nullable(),
  bootId: z.string().nullable(),
})

/** No room on the disk, or in its owner's share of it. */
export const isDiskFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')

/**
 * Takes the lock for this process. Null when it is taken now, else the pid of the living process that has it.
 * A full disk is no reason to stop what may empty it: then there is no lock.
 * @throws what the file system says when the file cannot be written.
 */
export function takeLock(path: string): number | null {
  for (;;) {
    try {
      writeFileSync(path, JSON.stringify(identify(process.pid)), { flag: 'wx', mode: 0o600 })
      return null
    } catch (error) {
      if (isDiskFull(error)) return null
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = readHolder(path)
    if (holder !== null && isRunning(holder)) return holder.pid
    setAside(path)
  }
}

export function releaseLock(path: string): void {
  rmSync(path, { force: true })
}

/**
 * Moved before it is removed: of two processes that find the lock of a dead one, the second must not remove
 * the first one's.
 */
function setAside(path: string): void {
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
  } catch {
    return // another was quicker
  }
  const moved = readHolder(aside)
  if (moved !== null && isRunning(moved)) renameSync(aside, path)
  else rmSync(aside, { force: true })
}

function readHolder(path: string): ProcessIdentity | null {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return null
  }
}

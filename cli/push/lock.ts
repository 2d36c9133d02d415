/**
 * A lock file with the identity of the process of this machine that holds it. The lock of a process that no
 * longer runs is ignored.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import { identify, isRunning, type ProcessIdentity } from '../../infra/local/identity.ts'

const schema = z.object({
  pid: z.int().positive(),
  startTicks: z.string().nullable(),
  bootId: z.string().nullable(),
})

/** The disk is full, or the quota of its owner is used up. */
export const isDiskFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')

/**
 * Takes the lock for this process. Returns null when this process has it now, else the pid of the running
 * process that holds it. On a full disk the work goes on without a lock, since it may free space.
 * @throws the error of the file system when the lock file cannot be written.
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
    removeStale(path)
  }
}

export function releaseLock(path: string): void {
  rmSync(path, { force: true })
}

/**
 * Removes the lock of a dead process. It is moved first: of two processes that find the stale lock, the second
 * must not remove the new lock of the first.
 */
function removeStale(path: string): void {
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
  } catch {
    return // another process has moved it
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

/** One stack in a folder: the lock names the process that runs it, and ends with that process. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { InvalidInputError } from '../../shared/errors.ts'
import { identify, isRunning, type ProcessIdentity } from './identity.ts'

/**
 * Takes the lock for this process; a lock of a dead process is replaced. Returns the function that releases it.
 * @throws InvalidInputError, with what to do, while another process holds it.
 */
export function lockFolder(path: string): () => void {
  const own = identify(process.pid)
  for (let attempt = 0; !create(path, own); attempt++) {
    const holder = read(path)
    if (holder !== null && isRunning(holder))
      throw new InvalidInputError(
        `cygnet is already running in this folder (process ${holder.pid}). Stop that one first, or use another folder: CYGNET_FOLDER=/path cygnet up`,
        { pid: holder.pid },
      )
    if (attempt === 3) throw new InvalidInputError(`${path} cannot be taken: remove it and try again`)
    rmSync(path, { force: true })
  }
  return () => {
    const holder = read(path)
    if (holder?.pid === own.pid && holder.startTicks === own.startTicks) rmSync(path, { force: true })
  }
}

function create(path: string, own: ProcessIdentity): boolean {
  try {
    writeFileSync(path, JSON.stringify(own), { mode: 0o600, flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function read(path: string): ProcessIdentity | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null // incomplete: its writer died
  }
}

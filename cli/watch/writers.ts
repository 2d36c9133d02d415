/**
 * Finds processes that have files open for writing, as far as Linux shows them: /proc/<pid>/fd for processes
 * that this one may inspect, and /proc/locks for all. A file without a writer here may still have one: processes
 * of other users and other machines are not visible.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename } from 'node:path'

interface OnDisk {
  readonly dev: bigint
  readonly ino: bigint
  readonly name: string
}

const PROC = '/proc'
/**
 * Lowest two bits of the flags in /proc/<pid>/fdinfo/<fd> (octal): read, write, both. See proc(5), open(2).
 */
const ACCESS_MODE = 3

/** The process, in words, for each file that is open for writing. Empty where there is no /proc. */
export function findWriters<T extends OnDisk>(files: readonly T[]): ReadonlyMap<T, string> {
  const writers = new Map<T, string>()
  if (files.length === 0) return writers
  const byName = new Map(files.map((file) => [file.name, file]))
  for (const pid of list(PROC)) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
    for (const fd of list(`${PROC}/${pid}/fd`)) {
      const file = byName.get(basename(attempt(() => readlinkSync(`${PROC}/${pid}/fd/${fd}`)) ?? ''))
      if (file !== undefined && isOpenForWriting(pid, fd) && isSameFile(`${PROC}/${pid}/fd/${fd}`, file))
        writers.set(file, nameOf(pid))
    }
  }
  for (const lock of (attempt(() => readFileSync(`${PROC}/locks`, 'utf8')) ?? '').split('\n')) {
    const file = lockedFile(lock, files)
    if (file !== undefined && !writers.has(file))
      writers.set(file, nameOf(/ WRITE (\d+) /.exec(lock)?.[1] ?? ''))
  }
  return writers
}

const list = (path: string) => attempt(() => readdirSync(path)) ?? []

/** Null for an error: processes end meanwhile, and most may not be inspected. */
function attempt<T>(read: () => T): T | null {
  try {
    return read()
  } catch {
    return null
  }
}

function isOpenForWriting(pid: string, fd: string): boolean {
  const info = attempt(() => readFileSync(`${PROC}/${pid}/fdinfo/${fd}`, 'utf8')) ?? ''
  const flags = Number.parseInt(/^flags:\s+([0-7]+)$/m.exec(info)?.[1] ?? '0', 8)
  return (flags & ACCESS_MODE) !== 0
}

function isSameFile(path: string, file: OnDisk): boolean {
  const stat = attempt(() => statSync(path, { bigint: true }))
  return stat !== null && stat.ino === file.ino && stat.dev === file.dev
}

/**
 * `3: FLOCK  ADVISORY  WRITE 4321 08:01:1234567 0 EOF`: device as hexadecimal major:minor, then the inode.
 */
function lockedFile<T extends OnDisk>(lock: string, files: readonly T[]): T | undefined {
  const [, pid, major, minor, inode] = / WRITE (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /.exec(lock) ?? []
  if (pid === undefined || Number(pid) === process.pid) return undefined
  const device = `${Number.parseInt(major ?? '', 16)}:${Number.parseInt(minor ?? '', 16)}`
  return files.find((file) => String(file.ino) === inode && deviceOf(file.dev) === device)
}

/** Major and minor number of a `st_dev`, as glibc packs them (sys/sysmacros.h). */
function deviceOf(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n)
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
}

function nameOf(pid: string): string {
  const name = attempt(() => readFileSync(`${PROC}/${pid}/comm`, 'utf8'))?.trim()
  return name === undefined ? `process ${pid}` : `${name} (process ${pid})`
}

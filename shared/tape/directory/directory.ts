/**
 * Copies in a folder: a tape library mounted as a file system (LTFS), an NFS server, a second disk. A copy is
 * written under a temporary name in the same folder, flushed, read back and compared, and then given its
 * final name, which is never taken from another file. Configure a folder inside the mount, not the mount
 * point itself: a missing mount shows as a missing folder.
 */
import { link, lstat, opendir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InvalidInputError, TransientError } from '../../errors.ts'
import type { CheckOptions, CopyResult, CopySource, TapeCheck, TapeDriver, TapeFile } from '../driver.ts'
import { checkedName, encodedName, isTemporary } from '../names.ts'
import { readBack, readPlain, writeFile } from './bytes.ts'
import { hasCode, translated } from './errors.ts'
import { findFolder, findPlace, makePlace, type Place, splitName, syncFolder } from './place.ts'
import { claimName, createTemporary, type HardLink, isReservation, type Temporary } from './temporary.ts'

export interface DirectoryOptions {
  /** An existing folder. */
  readonly folder: string
  /** Replaces the file system's own, for tests of file systems without hard links. */
  readonly hardLink?: HardLink
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

interface CopiesFolder {
  readonly root: string
  readonly hardLink: HardLink
  readonly now: () => number
}

const VERIFIED_BY = 'sha256 read back'

export function createDirectoryDriver(options: DirectoryOptions): TapeDriver {
  const root = resolve(options.folder)
  const place: CopiesFolder = { root, hardLink: options.hardLink ?? link, now: options.now ?? Date.now }
  const endpoint = pathToFileURL(root).href
  const url = (name: string) => `${endpoint}/${encodedName(checkedName(name))}`
  /** Translates errors of the file system into ours. */
  const translatingErrors = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      throw translated(root, error)
    }
  }
  return {
    kind: 'directory',
    endpoint,
    url,
    copy: (file, source, _, signal) => translatingErrors(copy(place, file, source, signal)),
    check: (file, checkOptions, signal) => translatingErrors(check(place, file, checkOptions, signal)),
    async stage(file, _, signal) {
      const found = await translatingErrors(
        check(place, file, { reference: null, readBack: 'never' }, signal),
      )
      if (found.kind === 'absent') throw new InvalidInputError(`there is no copy ${url(file.name)}`)
      return { kind: 'online', reference: null }
    },
    async release() {},
    async *read(file, signal) {
      try {
        const found = await findPlace(root, file.name)
        if (found === null) throw new TransientError(`there is no copy ${url(file.name)}`, { missing: true })
        yield* readPlain(found.path, file.sizeBytes, signal)
      } catch (error) {
        throw translated(root, error)
      }
    },
    async *list(prefix, signal) {
      try {
        yield* list(root, prefix, signal)
      } catch (error) {
        throw translated(root, error)
      }
    },
    async close() {},
  }
}

async function check(
  { root, now }: CopiesFolder,
  file: TapeFile,
  options: CheckOptions,
  signal: AbortSignal,
): Promise<TapeCheck> {
  signal.throwIfAborted()
  const place = await findPlace(root, file.name)
  const stat = place === null ? null : await lstat(place.path).catch(absent)
  if (place === null || stat === null) return { kind: 'absent' }
  if (stat.isSymbolicLink())
    return { kind: 'different', evidence: 'existence', reason: 'a symbolic link has its name' }
  if (!stat.isFile())
    return {
      kind: 'different',
      evidence: 'existence',
      reason: stat.isDirectory() ? 'a folder has its name' : 'a device or pipe has its name',
    }
  if (stat.size !== file.sizeBytes && isReservation(stat, now()))
    return { kind: 'in-progress', reason: 'a copy is being given this name' }
  if (stat.size !== file.sizeBytes)
    return {
      kind: 'different',
      evidence: 'existence',
      reason: `it has ${stat.size} bytes instead of ${file.sizeBytes}`,
    }
  if (options.readBack === 'never')
    return { kind: 'unverified', reason: 'it has the right size; a file system states no checksum' }
  const { sha256 } = await readBack(place.path, signal)
  if (sha256 !== file.sha256)
    return {
      kind: 'different',
      evidence: 'read',
      reason: `it has the SHA-256 ${sha256} instead of ${file.sha256}`,
    }
  return { kind: 'present', verifiedBy: VERIFIED_BY, evidence: 'read', onMedia: true }
}

const absent = (error: unknown): null => {
  if (hasCode(error, 'ENOENT')) return null
  throw error
}

async function copy(
  folder: CopiesFolder,
  file: TapeFile,
  source: CopySource,
  signal: AbortSignal,
): Promise<CopyResult> {
  const before = await foundAlready(folder, file, signal)
  if (before !== null) return before
  const place = await makePlace(folder.root, file.name)
  await using temporary = await createTemporary(place.folder, file.runNumber)
  await fill(temporary, file, source, signal)
  const claimed = await claimName(temporary.path, place.path, folder.hardLink)
  await syncFolder(place.folder)
  if (claimed)
    return {
      kind: 'stored',
      how: 'streamed',
      bytesThroughUs: file.sizeBytes,
      verifiedBy: VERIFIED_BY,
      evidence: 'read',
      onMedia: true,
    }
  return (await foundAlready(folder, file, signal, file.sizeBytes)) ?? lostName(place)
}

/** When this returns, the temporary file has the file's bytes, on disk and compared. */
async function fill(
  temporary: Temporary,
  file: TapeFile,
  source: CopySource,
  signal: AbortSignal,
): Promise<void> {
  await writeFile(temporary.handle, file, source.open(signal), signal)
  // A copy is never edited. Not every file system supports modes.
  await temporary.handle.chmod(0o440).catch((error: unknown) => {
    if (!hasCode(error, 'EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error
  })
  await temporary.handle.sync()
  // NFS and FUSE may report write errors only at close.
  await temporary.handle.close()
  const back = await readBack(temporary.path, signal)
  if (back.sha256 !== file.sha256)
    throw new TransientError(`the disk returns other bytes than were written for ${file.name}`, {
      sizeBytes: back.sizeBytes,
    })
}

/** The result of a copy whose name is already taken; null when the name is free. */
async function foundAlready(
  folder: CopiesFolder,
  file: TapeFile,
  signal: AbortSignal,
  bytesThroughUs = 0,
): Promise<CopyResult | null> {
  const found = await check(folder, file, { reference: null, readBack: 'if-needed' }, signal)
  if (found.kind === 'absent') return null
  if (found.kind === 'present')
    return {
      kind: 'stored',
      how: 'streamed',
      bytesThroughUs,
      verifiedBy: found.verifiedBy,
      evidence: 'read',
      onMedia: true,
    }
  if (found.kind === 'different') return { kind: 'occupied', reason: found.reason }
  throw new TransientError(`${file.name}: ${found.reason}`)
}

function lostName(place: Place): never {
  throw new TransientError(`${place.path} appeared and disappeared: another program writes in this folder`)
}

/** Files below the prefix's folder, without links and our temporary files. */
async function* list(root: string, prefix: string, signal: AbortSignal) {
  const folders = prefix.split('/').slice(0, -1)
  if (folders.length > 0) splitName(folders.join('/'))
  const start = await findFolder(root, folders)
  if (start === null) return
  const waiting = [{ path: start, name: folders.map((folder) => `${folder}/`).join('') }]
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    for await (const entry of await opendir(folder.path)) {
      signal.throwIfAborted()
      const name = `${folder.name}${entry.name}`
      const path = join(folder.path, entry.name)
      if (entry.isDirectory() && (`${name}/`.startsWith(prefix) || prefix.startsWith(`${name}/`)))
        waiting.push({ path, name: `${name}/` })
      if (!entry.isFile() || isTemporary(entry.name) || !name.startsWith(prefix)) continue
      const stat = await lstat(path).catch(absent)
      if (stat !== null) yield { name, sizeBytes: stat.size }
    }
  }
}

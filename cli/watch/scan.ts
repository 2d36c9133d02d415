/**
 * Lists the run files of a folder. Only names of MIDAS runs count; hidden files, sidecars and temporary files are
 * ignored. Numbers are compared as numbers: run100000 comes after run99999.
 */
import { lstatSync } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInputError } from '../../shared/errors.ts'
import { parseRunKey, type RunFileId } from '../../shared/run.ts'
import { folderIdentity } from './on-disk.ts'

/** One version of a file on disk. With other values the same name is another file, or has other contents. */
export interface FileVersion {
  readonly dev: bigint
  readonly ino: bigint
  readonly sizeBytes: number
  /** Last written, nanoseconds since 1970. */
  readonly mtimeNs: bigint
}

export interface RunFileFound extends FileVersion {
  readonly name: string
  readonly path: string
  /** `TAG/NAME`. */
  readonly key: string
  readonly run: RunFileId
  /** Identity of its folder: see on-disk.ts. */
  readonly folder: string
  /**
   * The time of birth of the file, nanoseconds; the time of its last write where the disk has no birth times.
   */
  readonly begunNs: bigint
}

/** The name of a run whose file cannot be read. */
export interface Unreadable {
  readonly name: string
  readonly reason: string
}

export interface Scan {
  /** Identity of the folder: see on-disk.ts. */
  readonly folder: string
  /** By run number, then subrun, then name. */
  readonly files: readonly RunFileFound[]
  readonly unreadable: readonly Unreadable[]
}

export const isSameVersion = (a: FileVersion, b: FileVersion): boolean =>
  a.ino === b.ino && a.dev === b.dev && a.sizeBytes === b.sizeBytes && a.mtimeNs === b.mtimeNs

/** True while the path still leads to the same unchanged file. */
export function isThere(found: RunFileFound): boolean {
  const stat = lstatSync(found.path, { bigint: true, throwIfNoEntry: false })
  return stat !== undefined && isSameVersion(found, { ...stat, sizeBytes: Number(stat.size) })
}

export const mtimeMs = (file: FileVersion): number => Number(file.mtimeNs / 1_000_000n)

type Numbered = { readonly runNumber: number; readonly subrun: number | null }

/** Order of runs, and of the files of a run. */
export const compareRuns = (a: Numbered, b: Numbered): number =>
  a.runNumber - b.runNumber || (a.subrun ?? -1) - (b.subrun ?? -1)

/**
 * @throws InvalidInputError when the folder cannot be listed: it is missing, not mounted, or not readable.
 */
export async function scanFolder(folder: string, tag: string): Promise<Scan> {
  const notListed = (error: NodeJS.ErrnoException) => {
    throw new InvalidInputError(
      `${folder} cannot be listed: ${LISTING_FAILED[error.code ?? ''] ?? error.message}`,
      {},
      { cause: error },
    )
  }
  const identity = await folderIdentity(folder).catch(notListed)
  const names = await readdir(folder).catch(notListed)
  const files: RunFileFound[] = []
  const unreadable: Unreadable[] = []
  for (const name of names) {
    const run = parseRunKey(`${tag}/${name}`)
    if (run === null) continue
    const found = await inspectFile(folder, name, run, identity)
    if (found === null) continue
    if ('reason' in found) unreadable.push(found)
    else files.push(found)
  }
  files.sort((a, b) => compareRuns(a.run, b.run) || (a.name < b.name ? -1 : 1))
  // A disk was mounted or unmounted meanwhile: the list is a mixture.
  if ((await folderIdentity(folder).catch(notListed)) !== identity)
    throw new InvalidInputError(`${folder} was replaced by another folder while it was listed`)
  return { folder: identity, files, unreadable }
}

const LISTING_FAILED: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such folder (is its disk mounted?)',
  ENOTDIR: 'it is not a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EIO: 'the disk failed to read it',
  ESTALE: 'stale handle of the network file system',
}

/** Null when the file was removed since the folder was listed. */
async function inspectFile(
  folder: string,
  name: string,
  run: RunFileId,
  identity: string,
): Promise<RunFileFound | Unreadable | null> {
  const path = join(folder, name)
  try {
    const stat = await lstat(path, { bigint: true })
    // A link leads to a file outside of this folder: it is never followed and never deleted.
    if (stat.isSymbolicLink())
      return { name, reason: 'it is a symbolic link; watch the folder that holds the file itself' }
    if (!stat.isFile()) return { name, reason: 'it is not a file' }
    const { dev, ino, mtimeNs } = stat
    const begunNs = stat.birthtimeNs > 0n && stat.birthtimeNs < mtimeNs ? stat.birthtimeNs : mtimeNs
    return {
      name,
      path,
      key: `${run.tag}/${name}`,
      run,
      dev,
      ino,
      sizeBytes: Number(stat.size),
      mtimeNs,
      folder: identity,
      begunNs,
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? null : { name, reason: message }
  }
}

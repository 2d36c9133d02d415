/**
 * The run files of a folder. Only names that MIDAS gives to runs count; hidden files, sidecars and what
 * programs write under temporary names are not looked at. Numbers are compared as numbers: run100000 comes
 * after run99999.
 */
import { lstatSync } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInputError } from '../../shared/errors.ts'
import { parseRunKey, type RunFileId } from '../../shared/run.ts'
import { folderIdentity } from './on-disk.ts'

/** One state of a file on disk. The same name with other values here is another file, or other contents. */
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
  /** Which folder it lies in: see on-disk.ts. */
  readonly folder: string
  /**
   * Not later than the file's first byte was written here, nanoseconds; its last write where the disk keeps
   * no birth times.
   */
  readonly begunNs: bigint
}

/** A name of a run under which no file lies that could be read. */
export interface Unreadable {
  readonly name: string
  readonly reason: string
}

export interface Scan {
  /** Which folder it was: see on-disk.ts. */
  readonly folder: string
  /** By run number, then subrun, then name. */
  readonly files: readonly RunFileFound[]
  readonly unreadable: readonly Unreadable[]
}

export const isSameVersion = (a: FileVersion, b: FileVersion): boolean =>
  a.ino === b.ino && a.dev === b.dev && a.sizeBytes === b.sizeBytes && a.mtimeNs === b.mtimeNs

/** True while the name of the file that was found leads to it, as it was then. */
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
 * @throws InvalidInputError when the folder cannot be listed: it is missing, not mounted, or not ours to
 * read.
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
    const looked = await look(folder, name, run, identity)
    if (looked === null) continue
    if ('reason' in looked) unreadable.push(looked)
    else files.push(looked)
  }
  files.sort((a, b) => compareRuns(a.run, b.run) || (a.name < b.name ? -1 : 1))
  // A disk that is mounted or taken away meanwhile: what was listed is of neither.
  if ((await folderIdentity(folder).catch(notListed)) !== identity)
    throw new InvalidInputError(`${folder} became another folder while it was listed`)
  return { folder: identity, files, unreadable }
}

const LISTING_FAILED: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such folder (is its disk mounted?)',
  ENOTDIR: 'it is no folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EIO: 'the disk failed to read it',
  ESTALE: 'its network file system lost it',
}

/** Null when it vanished since the folder was listed. */
async function look(
  folder: string,
  name: string,
  run: RunFileId,
  identity: string,
): Promise<RunFileFound | Unreadable | null> {
  const path = join(folder, name)
  try {
    const stat = await lstat(path, { bigint: true })
    // A link may lead anywhere, and what it leads to is no file of this folder: never followed, never
    // deleted.
    if (stat.isSymbolicLink())
      return { name, reason: 'it is a symbolic link; watch the folder that holds the file itself' }
    if (!stat.isFile()) return { name, reason: 'it is no file' }
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

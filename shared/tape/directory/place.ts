/**
 * Locations of copies below the root. We never create the root: with a missing mount, a copy on the local
 * disk would be mistaken for one on tape. Symbolic links are followed as long as they stay below the root.
 */
import { mkdir, open, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { InvalidInputError, TransientError } from '../../errors.ts'
import { checkedName, isTemporary } from '../names.ts'
import { hasCode } from './errors.ts'

/** The folder of a file, with links resolved, and the path of the file in it. */
export interface Place {
  readonly folder: string
  readonly path: string
}

/**
 * Splits a name into its folders and its last segment. @throws InvalidInputError for names that lead out of
 * the root, or that are those of our temporary files.
 */
export function splitName(name: string): { readonly folders: readonly string[]; readonly last: string } {
  const segments = checkedName(name).split('/')
  if (segments.some(isTemporary))
    throw new InvalidInputError(`"${name}" cannot be the name of a copy: unfinished copies have such names`)
  return { folders: segments.slice(0, -1), last: segments.at(-1) ?? '' }
}

/** The root with links resolved. @throws TransientError when it does not exist. */
async function openRoot(root: string): Promise<string> {
  const real = await realpath(root).catch((error: unknown) => {
    if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error
    throw new TransientError(
      `the folder of the copies, ${root}, does not exist: is it mounted?`,
      { operator: true },
      { cause: error },
    )
  })
  if (!(await stat(real)).isDirectory())
    throw new TransientError(`the place of the copies, ${root}, is not a folder`, { operator: true })
  return real
}

/** The location of a name, or null when its folder does not exist yet. */
export async function findPlace(root: string, name: string): Promise<Place | null> {
  const { folders, last } = splitName(name)
  const folder = await findFolder(root, folders)
  return folder === null ? null : { folder, path: join(folder, last) }
}

export async function findFolder(root: string, folders: readonly string[]): Promise<string | null> {
  const real = await openRoot(root)
  const folder = await realpath(join(real, ...folders)).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  })
  return folder === null ? null : inside(real, folder)
}

/**
 * The location of a name. Creates its folders one by one; each is on disk before anything is created in it.
 */
export async function makePlace(root: string, name: string): Promise<Place> {
  const { folders, last } = splitName(name)
  const real = await openRoot(root)
  let folder = real
  for (const segment of folders) {
    const next = join(folder, segment)
    const made = await mkdir(next, { mode: 0o750 }).then(
      () => true,
      (error: unknown) => {
        if (hasCode(error, 'EEXIST')) return false
        throw error
      },
    )
    if (made) await syncFolder(folder)
    folder = inside(real, await realpath(next))
  }
  return { folder, path: join(folder, last) }
}

function inside(root: string, folder: string): string {
  const way = relative(root, folder)
  if (way === '..' || way.startsWith(`..${sep}`))
    throw new TransientError(
      `a symbolic link below ${root} leads out of it, to ${folder}: nothing is read or written there`,
      {
        operator: true,
      },
    )
  return folder
}

/**
 * Flushes the entries of a folder to disk. Some file systems (LTFS, old NFS) do not support this and do it by
 * themselves.
 */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    if (!hasCode(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EBADF')) throw error
  } finally {
    await handle.close()
  }
}

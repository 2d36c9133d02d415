/**
 * Finds programs of the machine, also in folders that are often missing in PATH.
 */
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { searchPath } from './environment.ts'

/** Debian keeps daemons in sbin, which is not in the PATH of a normal user. */
const MORE_FOLDERS = [
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin',
  '/usr/local/bin',
  '/usr/bin',
  '/bin',
  '/usr/local/go/bin',
]

/**
 * The full path of a program, or null if the machine does not have it. `folders` are searched first, then PATH,
 * then the usual system folders.
 */
export async function findProgram(
  name: string,
  options: { readonly folders?: readonly string[] } = {},
): Promise<string | null> {
  const folders = [...(options.folders ?? []), ...searchPath().split(delimiter), ...MORE_FOLDERS]
  for (const folder of new Set(folders.filter((folder) => folder !== ''))) {
    const path = join(folder, name)
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (usable) return path
  }
  return null
}

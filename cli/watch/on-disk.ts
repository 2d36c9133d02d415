/** Whether a file is on this disk now, and the identity of a folder. */
import { lstatSync } from 'node:fs'
import { stat } from 'node:fs/promises'

/** True when the path is a plain file of this size. Throws when the disk cannot be read. */
export function isOnDisk({
  path,
  sizeBytes,
}: {
  readonly path: string
  readonly sizeBytes: number
}): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found?.isFile() === true && found.size === sizeBytes
}

/**
 * Identifies a folder, so that the folder of a disk differs from the empty mount point with the same path. The
 * number of the device is not used: it changes at a reboot. Where a system gives a changing time as the time of
 * birth, the folder is a different one each time, which is safe.
 */
export async function folderIdentity(folder: string): Promise<string> {
  const { ino, birthtimeNs } = await stat(folder, { bigint: true })
  return `${ino}:${birthtimeNs}`
}

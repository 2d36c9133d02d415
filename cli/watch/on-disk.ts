/** What lies under a name on this disk now, and whether the folder is the one it was. */
import { lstatSync } from 'node:fs'
import { stat } from 'node:fs/promises'

/** A plain file of this size lies there. Throws when the disk does not say. */
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
 * Tells a folder from another that has its path: that of a disk from the empty one under it while it is not
 * mounted. Not by the number of the device, which changes when the machine starts anew. Should a system give
 * some other time for that of its birth, which changes, it is another folder each time: on the safe side.
 */
export async function folderIdentity(folder: string): Promise<string> {
  const { ino, birthtimeNs } = await stat(folder, { bigint: true })
  return `${ino}:${birthtimeNs}`
}

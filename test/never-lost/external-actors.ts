/**
 * Acts of external actors: the DAQ, and people with access to the store or the tape. Contents that they
 * destroy are excused, because Cygnet cannot prevent the loss.
 */
import { encodeNotification } from '../../shared/messages/runs.ts'
import { arrivalOf } from '../support/context.ts'
import { type Content, sha256Of } from './ground-truth.ts'
import type { World } from './world.ts'

/** The DAQ writes an object, over what is there. @returns the message that the store would send. */
export async function dropObject(world: World, key: string, bytes: Uint8Array): Promise<string> {
  const before = world.groundTruth.now(`store/${key}`)
  const etag = await world.store.put(key, bytes)
  world.groundTruth.require({ key, sha256: sha256Of(bytes) })
  excuse(world, (content) => content.key === key && content.sha256 === before)
  return encodeNotification([arrivalOf(world.bucket, key, etag)])
}

/** The DAQ writes a file to its disk, over one with the same name. */
export function writeLocalFile(world: World, key: string, bytes: Uint8Array): void {
  const before = world.groundTruth.now(`local/${key}`)
  world.disk.write(key, bytes)
  excuse(world, (content) => content.key === key && content.sha256 === before)
}

export async function removeObject(world: World, key: string): Promise<void> {
  const before = world.groundTruth.now(`store/${key}`)
  await world.store.remove(key)
  excuse(world, (content) => content.key === key && content.sha256 === before)
}

export function harmTapeFile(world: World, name: string, how: 'damage' | 'remove'): void {
  world.tape[how](name)
  excuse(world, (content) => world.groundTruth.tapeNames(content).includes(name))
}

function excuse({ groundTruth }: World, which: (content: Content) => boolean): void {
  for (const content of groundTruth.required())
    if (which(content) && groundTruth.copies(content).length === 0) groundTruth.excuse(content)
}

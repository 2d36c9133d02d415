/**
 * What others do than the functions: the DAQ, and strangers. What is lost by them is no fault of ours, and
 * excused.
 */
import { encodeNotification } from '../../shared/messages/runs.ts'
import { arrivalOf } from '../support/context.ts'
import { type Content, sha256Of } from './truth.ts'
import type { World } from './world.ts'

/** The DAQ writes an object, over whatever is there. Returns the message that the store would send. */
export async function dropObject(world: World, key: string, bytes: Uint8Array): Promise<string> {
  const before = world.truth.now(`store/${key}`)
  const etag = await world.store.put(key, bytes)
  world.truth.require({ key, sha256: sha256Of(bytes) })
  excuse(world, (content) => content.key === key && content.sha256 === before)
  return encodeNotification([arrivalOf(world.bucket, key, etag)])
}

/** The DAQ has the file on its disk, in place of what had its name. */
export function keepFile(world: World, key: string, bytes: Uint8Array): void {
  const before = world.truth.now(`local/${key}`)
  world.disk.write(key, bytes)
  excuse(world, (content) => content.key === key && content.sha256 === before)
}

export async function removeObject(world: World, key: string): Promise<void> {
  const before = world.truth.now(`store/${key}`)
  await world.store.remove(key)
  excuse(world, (content) => content.key === key && content.sha256 === before)
}

export function harmTape(world: World, name: string, how: 'damage' | 'remove'): void {
  world.tape[how](name)
  excuse(world, (content) => world.truth.tapeNames(content).includes(name))
}

function excuse({ truth }: World, which: (content: Content) => boolean): void {
  for (const content of truth.required())
    if (which(content) && truth.copies(content).length === 0) truth.excuse(content)
}

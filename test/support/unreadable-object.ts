/**
 * A disk fault of the embedded store: the store lists an object, but reading it fails for a while.
 */
import { readdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestStack } from './stack.ts'

/**
 * Puts an object that is unreadable from the start: the function that reads runs is suspended until then.
 * @returns a function that repairs the disk.
 */
export async function putUnreadable(stack: TestStack, key: string, body: Uint8Array): Promise<() => void> {
  const reader = stack.pid('extract-metadata')
  process.kill(reader, 'SIGSTOP')
  try {
    await stack.put(key, body)
    const content = contentOf(stack, key)
    const lost = `${content}.lost`
    renameSync(content, lost)
    return () => renameSync(lost, content)
  } finally {
    process.kill(reader, 'SIGCONT')
  }
}

/**
 * The file with the content, named as in infra/local/services/embedded/store.ts: `<key>%<random
 * hexadecimal>`.
 */
function contentOf({ folder, bucket }: TestStack, key: string): string {
  const path = join(folder, 'embedded', 'objects', bucket, key)
  const name = readdirSync(dirname(path)).find(
    (entry) => /%[0-9a-f]{12}$/.test(entry) && path.endsWith(entry.replace(/%.*/, '')),
  )
  if (name === undefined) throw new Error(`the store has no content of ${key}`)
  return join(dirname(path), name)
}

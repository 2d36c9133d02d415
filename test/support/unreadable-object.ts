/**
 * A disk of the embedded store that does not give an object's bytes for a while: the store knows the object,
 * and reading it fails.
 */
import { readdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestStack } from './stack.ts'

/**
 * Puts an object of which nobody has read a byte when it becomes unreadable: the function that reads runs is
 * held until then.
 * @returns what mends the disk.
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

/** As infra/local/services/embedded/store.ts names it: `<key>%<random hexadecimal>`. */
function contentOf({ folder, bucket }: TestStack, key: string): string {
  const path = join(folder, 'embedded', 'objects', bucket, key)
  const name = readdirSync(dirname(path)).find(
    (entry) => /%[0-9a-f]{12}$/.test(entry) && path.endsWith(entry.replace(/%.*/, '')),
  )
  if (name === undefined) throw new Error(`the store has no content of ${key}`)
  return join(dirname(path), name)
}

/** Changes bytes of an object on the disk of the embedded store. The store's checksums stay as they are. */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Inverts one byte; called again, it repairs the object. */
export function flipStoredByte(bucket: string, key: string, at = 0): void {
  const [record] = globSync(`cygnet-test-*/**/${bucket}/${key}%object.json`, { cwd: tmpdir() })
  if (record === undefined) throw new Error(`the embedded store has no ${bucket}/${key}`)
  const path = join(tmpdir(), record)
  const { file } = JSON.parse(readFileSync(path, 'utf8')) as { readonly file: string }
  const content = join(path.slice(0, -`${key}%object.json`.length), file)
  const bytes = readFileSync(content)
  bytes[at] = (bytes[at] ?? 0) ^ 0xff
  writeFileSync(content, bytes)
}

/**
 * Credentials of the development services: random, made once per folder, in files that only their owner can read.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

/**
 * A random text of letters and digits, safe in SQL strings, addresses, headers and shells. `length`
 * characters.
 */
export function randomSecret(length = 32): string {
  let text = ''
  while (text.length < length)
    text += randomBytes(length)
      .toString('base64')
      .replace(/[^A-Za-z0-9]/g, '')
  return text.slice(0, length)
}

/**
 * Writes a file that only its owner can read, atomically: a reader sees the old or the new content.
 */
export function writePrivateFile(path: string, content: string): void {
  const partial = `${path}.${process.pid}.part`
  writeFileSync(partial, content, { mode: 0o600 })
  chmodSync(partial, 0o600) // the mode above does not change a file that an interrupted write left behind
  renameSync(partial, path)
}

/** The secret stored in a file; made at the first call. */
export function storedSecret(path: string, length = 32): string {
  try {
    const secret = readFileSync(path, 'utf8').trim()
    if (/^[A-Za-z0-9]+$/.test(secret)) return secret
  } catch {
    // no secret yet
  }
  const secret = randomSecret(length)
  writePrivateFile(path, `${secret}\n`)
  return secret
}

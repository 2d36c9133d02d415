/**
 * The file through which processes share a token. From its creation it is readable only by its owner. It is
 * replaced as a whole, so that a reader sees the old or the new contents and never a part, even if a writer
 * is killed.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, stat, unlink } from 'node:fs/promises'
import * as z from 'zod'
import { TransientError } from '../../errors.ts'

const contents = z.object({
  /**
   * Identifies the client, scope and configured refresh token that this was obtained with: see `identityOf`
   * in tokens.ts.
   */
  identity: z.string(),
  accessToken: z.string().min(1),
  obtainedAtMs: z.number(),
  expiresAtMs: z.number(),
  /** The refresh token with which the IAM replaced the configured one. */
  refreshToken: z.string().min(1).nullable(),
})
export type CachedToken = Readonly<z.infer<typeof contents>>

const FILE_BYTES = 256 * 1024
/** A lock of this age was left by a process that died: a request to the IAM takes at most half of it. */
const LOCK_SECONDS = 60
const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code

/**
 * The token in the file; null when there is none or the contents are invalid.
 * @throws TransientError when other users could have read or written the file: then its contents are not
 * used.
 */
export async function readCache(path: string): Promise<CachedToken | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error) => {
      if (codeOf(error) === 'ENOENT') return null
      throw unusable(
        path,
        codeOf(error) === 'ELOOP' ? 'it is a symbolic link' : `it cannot be read (${codeOf(error)})`,
      )
    },
  )
  if (file === null) return null
  try {
    const found = await file.stat()
    const { uid, mode, size } = found
    if (!found.isFile()) throw unusable(path, 'it is not a file')
    if (process.getuid !== undefined && uid !== process.getuid())
      throw unusable(path, 'it belongs to another user')
    if ((mode & 0o077) !== 0)
      throw unusable(path, `others may read or write it (mode ${(mode & 0o777).toString(8)})`)
    return size > FILE_BYTES ? null : parse(await file.readFile('utf8'))
  } finally {
    await file.close()
  }
}

/** Writes a new file and renames it over the old one. Rejects with the file system's error. */
export async function writeCache(path: string, token: CachedToken): Promise<void> {
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(JSON.stringify(token))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

/**
 * Prevents processes from asking the IAM at the same time: with rotating refresh tokens, the second to use
 * one would lose the client's access. Returns the function to unlock, or null while another process holds the
 * lock. Where no lock can be created (a folder without write permission) or a stale one cannot be removed,
 * processes continue without a lock.
 */
export async function lockCache(path: string, nowMs: number): Promise<(() => Promise<void>) | null> {
  const lock = `${path}.lock`
  const unlock = () => unlink(lock).catch(() => {})
  try {
    await (await open(lock, 'wx', 0o600)).close()
    return unlock
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') return async () => {}
  }
  const held = await stat(lock).catch(() => null)
  // A lock dated in the future was created before a clock was set back; its age is unknown.
  if (held === null || Math.abs(nowMs - held.mtimeMs) <= LOCK_SECONDS * 1000) return null
  const isStuck = await unlink(lock).then(
    () => false,
    (error) => codeOf(error) !== 'ENOENT',
  )
  return isStuck ? async () => {} : null
}

function parse(text: string): CachedToken | null {
  try {
    return contents.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}

const unusable = (path: string, why: string) =>
  new TransientError(
    `the token file ${path} is not used: ${why}; remove it or make it the private file of this account (chmod 600)`,
    {
      operator: true,
    },
  )

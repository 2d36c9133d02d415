/** The sign-ins of this user, by API: one private file in the user's configuration folder. */
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import * as z from 'zod'
import { writePrivateFile } from '../../infra/local/secrets.ts'
import { processEnvironment } from '../../shared/config/config.ts'
import { InvalidInputError } from '../../shared/errors.ts'

const loginSchema = z.object({
  issuer: z.url(),
  clientId: z.string(),
  audience: z.string(),
  accessToken: z.string().min(1),
  expiresAtMs: z.number(),
  refreshToken: z.string().min(1).nullable(),
})
export type Login = Readonly<z.infer<typeof loginSchema>>

const fileSchema = z.object({
  /** The API of the last sign-in: the default where no other is named. */
  last: z.string().nullable(),
  /** By the address of the API: a token is sent only to the API that it was made for. */
  logins: z.record(z.string(), loginSchema),
})

/** `$XDG_CONFIG_HOME/cygnet/login.json`, or below `~/.config`. */
export const loginFile = (): string =>
  join(processEnvironment().XDG_CONFIG_HOME || join(homedir(), '.config'), 'cygnet', 'login.json')

/**
 * @throws InvalidInputError when other users can read or write the file: then its contents are not used.
 */
function read(): z.infer<typeof fileSchema> {
  const path = loginFile()
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return { last: null, logins: {} }
  if ((found.mode & 0o077) !== 0)
    throw new InvalidInputError(`${path} can be read by others; remove it and sign in again: cygnet login`)
  try {
    return fileSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return { last: null, logins: {} }
  }
}

export const readLogin = (api: URL): Login | null => read().logins[api.href] ?? null

export const lastApi = (): string | null => read().last

/** Stores a login; null deletes it. */
export function writeLogin(api: URL, login: Login | null): void {
  const { last, logins } = read()
  const others = Object.fromEntries(Object.entries(logins).filter(([address]) => address !== api.href))
  const kept = login === null ? others : { ...others, [api.href]: login }
  mkdirSync(dirname(loginFile()), { recursive: true, mode: 0o700 })
  const newLast = login === null ? (last === api.href ? null : last) : api.href
  writePrivateFile(loginFile(), JSON.stringify({ last: newLast, logins: kept }))
}

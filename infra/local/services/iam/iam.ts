/**
 * The embedded IAM: an OpenID Connect provider (oidc-provider) as a separate process, with a user for each role. It
 * replaces INDIGO IAM on one machine; docs/deploy/iam.md describes the use of the real one.
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { freePort } from '../../ports.ts'
import { type Service, serviceFolder, startProcess } from '../../process.ts'
import { randomSecret, storedSecret, writePrivateFile } from '../../secrets.ts'
import { AUDIENCE, addressOf, CLI_CLIENT, type IamUser, type StartSettings, WEB_CLIENT } from './settings.ts'

export interface IamOptions {
  /**
   * The folder of all services, normally `.cygnet`; keys and passwords in it are used again.
   */
  readonly dataFolder: string
  /** Address of the catalogue for browsers, to which they return after the sign-in. */
  readonly publicUrl: string
  /** On 127.0.0.1; default: a free one. */
  readonly port?: number | undefined
  /** Default: one for each role. */
  readonly users?: readonly IamUser[]
  readonly accessTokenSeconds?: number
  readonly signal?: AbortSignal | undefined
}

export interface Iam extends Service {
  readonly issuer: string
  /** The users with their passwords, which are random and remain the same in a folder. */
  readonly users: readonly (IamUser & { readonly password: string })[]
  /** Changes the groups of a user, as a manager of the IAM does. */
  setGroups(name: string, groups: readonly string[]): void
  /** The CYGNET_* settings with which the catalogue and the command use this IAM, including the roles. */
  readonly environment: Readonly<Record<string, string>>
}

/** Users with groups like those of the experiment; ROLES maps the groups to roles. */
const USERS: readonly IamUser[] = [
  { name: 'reader', groups: ['/cygno'] },
  { name: 'shifter', groups: ['/cygno', '/cygno/shifters'] },
  { name: 'operator', groups: ['/cygno', '/cygno/operators'] },
]
const ROLES = '/cygno=reader:*;/cygno/shifters=shifter:*;/cygno/operators=operator:*'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
const PASSWORD_LENGTH = 20

/**
 * Starts the IAM and waits until it answers (about 1 s).
 * @throws TransientError when it does not start; the message has the end of its log.
 */
export async function startIam(options: IamOptions): Promise<Iam> {
  const dataFolder = resolve(options.dataFolder)
  const folder = serviceFolder(dataFolder, 'iam')
  const port = options.port ?? (await freePort())
  const settings: StartSettings = {
    folder,
    port,
    publicUrl: options.publicUrl,
    clientSecret: storedSecret(join(folder, 'client-secret'), 40),
    cookieSecret: storedSecret(join(folder, 'cookie-secret'), 40),
    accessTokenSeconds: options.accessTokenSeconds ?? 3600,
    users: withPasswords(join(folder, 'passwords.json'), options.users ?? USERS),
  }
  const settingsFile = join(folder, 'settings.json')
  writePrivateFile(settingsFile, JSON.stringify(settings))
  const issuer = addressOf(port)
  const service = await startProcess({
    name: 'iam',
    dataFolder,
    program: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', MAIN, settingsFile],
    probe: async (signal) => (await fetch(`${issuer}/.well-known/openid-configuration`, { signal })).ok,
    signal: options.signal,
  })
  const environment = {
    CYGNET_PUBLIC_URL: options.publicUrl,
    CYGNET_SESSION_SECRET: storedSecret(join(folder, 'session-secret'), 40),
    CYGNET_OIDC_ISSUER: issuer,
    CYGNET_OIDC_CLIENT_ID: WEB_CLIENT,
    CYGNET_OIDC_CLIENT_SECRET: settings.clientSecret,
    CYGNET_OIDC_CLI_CLIENT_ID: CLI_CLIENT,
    CYGNET_OIDC_AUDIENCE: AUDIENCE,
    CYGNET_ROLES: ROLES,
  }
  const setGroups = (name: string, groups: readonly string[]) => {
    const users = settings.users.map((user) => (user.name === name ? { ...user, groups: [...groups] } : user))
    writePrivateFile(settingsFile, JSON.stringify({ ...settings, users }))
  }
  return { ...service, issuer, users: settings.users, setGroups, environment }
}

/** Adds passwords to the users; a name keeps its password as long as the folder exists. */
function withPasswords(file: string, users: readonly IamUser[]): StartSettings['users'] {
  const stored = storedPasswords(file)
  const all = users.map((user) => ({ ...user, password: stored[user.name] ?? randomSecret(PASSWORD_LENGTH) }))
  writePrivateFile(
    file,
    JSON.stringify({ ...stored, ...Object.fromEntries(all.map(({ name, password }) => [name, password])) }),
  )
  return all.map((user) => ({ ...user, groups: [...user.groups] }))
}

function storedPasswords(file: string): Readonly<Record<string, string>> {
  try {
    return z.record(z.string(), z.string()).parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return {}
  }
}

/**
 * The embedded IAM: an OpenID Connect provider (oidc-provider) as a process of its own, with a ready user for
 * each role. It stands in for INDIGO IAM on one machine: docs/deploy/iam.md tells how the real one is used
 * instead.
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { freePort } from '../../ports.ts'
import { type Service, serviceFolder, startProcess } from '../../process.ts'
import { keptSecret, randomSecret, writePrivateFile } from '../../secrets.ts'
import { AUDIENCE, addressOf, CLI_CLIENT, type IamUser, type StartSettings, WEB_CLIENT } from './settings.ts'

export interface IamOptions {
  /**
   * The folder that holds everything of ours, normally `.cygnet`; keys and passwords in it are used again.
   */
  readonly dataFolder: string
  /** Address of the catalogue as browsers reach it: where they are sent back to. */
  readonly publicUrl: string
  /** On 127.0.0.1; a free one when absent. */
  readonly port?: number | undefined
  /** One for each role when absent. */
  readonly users?: readonly IamUser[]
  readonly accessTokenSeconds?: number
  readonly signal?: AbortSignal | undefined
}

export interface Iam extends Service {
  readonly issuer: string
  /** The users with their passwords, which are random and stay the same in a folder. */
  readonly users: readonly (IamUser & { readonly password: string })[]
  /** The CYGNET_* settings that lead the catalogue and the command to this IAM, roles included. */
  readonly environment: Readonly<Record<string, string>>
}

/** Groups in the manner of the experiment, and what they stand for in `environment`. */
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
 * @throws TransientError when it does not start; the message holds the end of its log.
 */
export async function startIam(options: IamOptions): Promise<Iam> {
  const dataFolder = resolve(options.dataFolder)
  const folder = serviceFolder(dataFolder, 'iam')
  const port = options.port ?? (await freePort())
  const settings: StartSettings = {
    folder,
    port,
    publicUrl: options.publicUrl,
    clientSecret: keptSecret(join(folder, 'client-secret'), 40),
    cookieSecret: keptSecret(join(folder, 'cookie-secret'), 40),
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
    CYGNET_SESSION_SECRET: keptSecret(join(folder, 'session-secret'), 40),
    CYGNET_OIDC_ISSUER: issuer,
    CYGNET_OIDC_CLIENT_ID: WEB_CLIENT,
    CYGNET_OIDC_CLIENT_SECRET: settings.clientSecret,
    CYGNET_OIDC_CLI_CLIENT_ID: CLI_CLIENT,
    CYGNET_OIDC_AUDIENCE: AUDIENCE,
    CYGNET_ROLES: ROLES,
  }
  return { ...service, issuer, users: settings.users, environment }
}

/** The same password for the same name as long as the folder lives. */
function withPasswords(file: string, users: readonly IamUser[]): StartSettings['users'] {
  const kept = keptPasswords(file)
  const all = users.map((user) => ({ ...user, password: kept[user.name] ?? randomSecret(PASSWORD_LENGTH) }))
  writePrivateFile(
    file,
    JSON.stringify({ ...kept, ...Object.fromEntries(all.map(({ name, password }) => [name, password])) }),
  )
  return all.map((user) => ({ ...user, groups: [...user.groups] }))
}

function keptPasswords(file: string): Readonly<Record<string, string>> {
  try {
    return z.record(z.string(), z.string()).parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return {}
  }
}

/** `cygnet login` and `cygnet logout`: sign in to the catalogue on a page of the IAM, and sign out. */
import type { Command } from 'commander'
import * as z from 'zod'
import { InvalidInputError } from '../../shared/errors.ts'
import { apiSettings, fetchFromApi } from '../api/client.ts'
import { print, printJson, printToStderr } from '../output.ts'
import { interruption } from '../settings.ts'

const EXAMPLES = `
Examples:
  cygnet login                                     to the catalogue of CYGNET_API_URL, or of the local stack
  cygnet login --api https://cygnet.example.org    to this one, which is then the default where no other is named

The sign-in is kept in ~/.config/cygnet/login.json, readable only by you, and renewed automatically. Machines use CYGNET_API_TOKEN.
For your own curl, Python and notebooks: cygnet token create --personal --name notebook --scope read:LNGS link:LNGS`

export function register(program: Command): void {
  program
    .command('login')
    .description('sign in to the catalogue, on a page of the IAM')
    .option('--api <url>', 'address of the catalogue (default: CYGNET_API_URL)')
    .option('--json', 'one JSON object at the end: your name and scopes')
    .addHelpText('after', EXAMPLES)
    .action(login)
  program
    .command('logout')
    .description('end the sign-in, here and at the IAM')
    .option('--api <url>', 'address of the catalogue (default: CYGNET_API_URL)')
    .action(logout)
}

interface Flags {
  readonly api?: string
  readonly json?: boolean
}

const meSchema = z.object({ kind: z.string(), name: z.string(), scopes: z.array(z.string()) })

async function login(flags: Flags): Promise<void> {
  const { settingsSchema, signInByDevice } = await import('../login/iam.ts')
  const { writeLogin } = await import('../login/store.ts')
  const signal = interruption()
  const { address, token } = await apiSettings(flags.api)
  const { issuer, clientId, audience } = await answerOf(
    address,
    '/api/v1/sign-in-settings',
    settingsSchema,
    null,
    signal,
  )
  if (issuer === null || clientId === null)
    throw new InvalidInputError(`${address.host} has no IAM for programs; use an API token: CYGNET_API_TOKEN`)
  const show = (page: string, withCode: string | null, code: string) =>
    printToStderr(
      `Open ${page} and enter the code ${code}${withCode === null ? '' : `\n(or open ${withCode})`}`,
    )
  const made = await signInByDevice({ issuer, clientId, audience }, show, signal)
  const me = await answerOf(address, '/api/v1/me', meSchema, made.accessToken, signal)
  writeLogin(address, made)
  // Personal tokens that slept are valid again; a catalogue of before has none.
  const woken = await fetchFromApi(address, '/api/v1/me/tokens', { signal }, made.accessToken).catch(
    () => null,
  )
  await woken?.body?.cancel()
  if (flags.json === true) printJson(me)
  else
    print(
      `signed in to ${address.host} as ${me.name}: ${me.scopes.join(' ') || 'your groups give you no rights here yet'}`,
    )
  if (token !== null) printToStderr('CYGNET_API_TOKEN is set, and is used instead of this sign-in')
}

async function answerOf<T>(
  address: URL,
  path: string,
  schema: z.ZodType<T>,
  bearer: string | null,
  signal: AbortSignal,
): Promise<T> {
  const answer = await fetchFromApi(address, path, { signal }, bearer)
  const json: unknown = await answer.json().catch(() => null)
  const result = schema.safeParse(json)
  if (answer.ok && result.success) return result.data
  const detail =
    z.object({ detail: z.string() }).safeParse(json).data?.detail ??
    'the answer is not from the API of a catalogue'
  throw new InvalidInputError(`${address.href} (status ${answer.status}): ${detail}`)
}

async function logout(flags: Flags): Promise<void> {
  const { revoke } = await import('../login/iam.ts')
  const { readLogin, writeLogin } = await import('../login/store.ts')
  const { address } = await apiSettings(flags.api)
  const login = readLogin(address)
  if (login === null) return void print(`not signed in to ${address.host}`)
  // First on this machine: an unreachable IAM must not prevent the sign-out here.
  writeLogin(address, null)
  await revoke(login, interruption())
  print(`signed out of ${address.host}`)
}

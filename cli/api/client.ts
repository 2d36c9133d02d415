/**
 * Client of the catalogue's API: finds the address, and authenticates with CYGNET_API_TOKEN, else with the
 * sign-in of `cygnet login`, else with the token of the local stack.
 */

import { isSafeAddress } from '../../shared/access/safe-address.ts'
import { loadConfig, processEnvironment } from '../../shared/config/config.ts'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import { NO_DATABASE, stackFolder } from '../settings.ts'

export interface ApiClient {
  /**
   * Sends a request; returns the answer with any status except 401.
   * @param path below the API's address, with a slash in front: `/api/v1/runs?tag=LNGS`.
   * @throws InvalidInputError when the API does not accept the token or sign-in, or no API is known;
   * TransientError when the API cannot be reached.
   */
  fetch(path: string, init?: RequestInit): Promise<Response>
}

/**
 * @param named the address of the API; without it the settings name it.
 * @param asPerson only with the sign-in, for what a token cannot do.
 */
export function apiClient(named?: string, asPerson = false): ApiClient {
  let settings: Promise<Settings> | null = null
  return {
    async fetch(path, init = {}) {
      settings ??= apiSettings(named)
      const { address, ...tokens } = await settings
      const { token, stackToken } = asPerson ? { token: null, stackToken: null } : tokens
      const signal = init.signal ?? new AbortController().signal
      const bearer = token ?? (await loginToken(address, signal, null)) ?? stackToken
      const answer = await fetchFromApi(address, path, init, bearer)
      if (answer.status !== 401) return answer
      const other =
        token === null && bearer !== null && isRepeatable(init)
          ? await loginToken(address, signal, bearer)
          : null
      const second = other === null ? answer : await fetchFromApi(address, path, init, other)
      if (second.status !== 401) return second
      throw await refused(second, token !== null, bearer !== null)
    },
  }
}

interface Settings {
  /** With a slash at its end. */
  readonly address: URL
  /** CYGNET_API_TOKEN. */
  readonly token: string | null
  /** The token of the local stack, when the address is that of the stack's API. */
  readonly stackToken: string | null
}

/**
 * Chooses the API: the named one, else CYGNET_API_URL, else that of the running local stack, else that of the
 * last sign-in.
 * @throws InvalidInputError when there is none, or its address would send a token in clear text.
 */
export async function apiSettings(named?: string): Promise<Settings> {
  const { readStack } = await import('../../infra/local/stack.ts')
  const { lastApi } = await import('../login/store.ts')
  const stack = readStack(stackFolder())
  const config = loadConfig({ CYGNET_DATABASE_URL: NO_DATABASE, ...processEnvironment() })
  const found = named ?? config.api.url ?? stack?.CYGNET_API_URL ?? lastApi()
  if (found === null)
    throw new InvalidInputError(
      'no catalogue is configured: sign in (cygnet login --api https://…), set CYGNET_API_URL, or start the local stack (npm start)',
    )
  const address = URL.parse(found.endsWith('/') ? found : `${found}/`)
  if (address === null) throw new InvalidInputError(`"${found}" is not the address of a catalogue`)
  if (!isSafeAddress(address))
    throw new InvalidInputError(`${address.origin} is not https: a token would be sent in clear text`)
  const isOfStack = found === stack?.CYGNET_API_URL
  return {
    address,
    token: config.api.token ?? null,
    stackToken: isOfStack ? (stack?.CYGNET_API_TOKEN ?? null) : null,
  }
}

async function loginToken(address: URL, signal: AbortSignal, refused: string | null): Promise<string | null> {
  const { accessToken } = await import('../login/token.ts')
  return await accessToken(address, signal, refused)
}

/**
 * Sends one request, with this token or without one. Redirects are not followed unless `init` allows it: the
 * token is for this address only.
 */
export async function fetchFromApi(
  address: URL,
  path: string,
  init: RequestInit,
  bearer: string | null,
): Promise<Response> {
  const url = new URL(path.replace(/^\/+/, ''), address)
  if (url.origin !== address.origin) throw new InvalidInputError(`"${path}" is not a path of this API`)
  const headers = new Headers(init.headers)
  if (bearer !== null) headers.set('authorization', `Bearer ${bearer}`)
  try {
    return await fetch(url, { redirect: 'error', ...init, headers })
  } catch (error) {
    init.signal?.throwIfAborted()
    const cause =
      error instanceof Error && error.cause instanceof Error ? error.cause.message : 'no reason given'
    throw new TransientError(`the API at ${address.host} cannot be reached: ${cause}`, {}, { cause: error })
  }
}

const isRepeatable = ({ body }: RequestInit) =>
  body === undefined || body === null || typeof body === 'string'

async function refused(answer: Response, byToken: boolean, byLogin: boolean): Promise<InvalidInputError> {
  const problem: unknown = await answer.json().catch(() => null)
  const detail =
    typeof problem === 'object' && problem !== null && 'detail' in problem
      ? `: ${String(problem.detail)}`
      : ''
  if (byToken) return new InvalidInputError(`the API does not accept CYGNET_API_TOKEN${detail}`)
  return new InvalidInputError(
    byLogin
      ? `the API does not accept the sign-in${detail}; sign in again: cygnet login`
      : 'sign in first: cygnet login',
  )
}

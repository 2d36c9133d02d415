/** The IAM as the command asks it: OAuth 2.0 device flow (RFC 8628), refresh, revocation. */
import * as openid from 'openid-client'
import * as z from 'zod'
import { isSafeAddress } from '../../shared/access/safe-address.ts'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import type { Login } from './store.ts'

export const settingsSchema = z.object({
  issuer: z.url().nullable(),
  clientId: z.string().nullable(),
  audience: z.string(),
})

type Place = Pick<Login, 'issuer' | 'clientId' | 'audience'>

const ANSWER_SECONDS = 20
const WANTED_SCOPES = ['openid', 'profile', 'groups', 'wlcg.groups', 'offline_access']
/** An IAM that does not say how long its token lives. */
const SHORT_SECONDS = 300

/**
 * Signs a person in, who opens a page elsewhere and enters a code there.
 * @param show is called with the page, the same with the code in it (where the IAM has that), and the code.
 */
export async function signInByDevice(
  place: Place,
  show: (page: string, withCode: string | null, code: string) => void,
  signal: AbortSignal,
): Promise<Login> {
  return await asked(async () => {
    const iam = await discover(place)
    const supported = iam.serverMetadata().scopes_supported
    const scope = WANTED_SCOPES.filter((each) => supported?.includes(each) !== false).join(' ')
    const device = await openid.initiateDeviceAuthorization(iam, { scope, audience: place.audience })
    show(
      plain(device.verification_uri),
      device.verification_uri_complete === undefined ? null : plain(device.verification_uri_complete),
      plain(device.user_code),
    )
    return loginOf(
      place,
      await openid.pollDeviceAuthorizationGrant(iam, device, { audience: place.audience }, { signal }),
      null,
    )
  }, signal)
}

/** Another access token, and where the IAM gives one another refresh token. */
export async function refresh(login: Login, signal: AbortSignal): Promise<Login> {
  const { refreshToken } = login
  if (refreshToken === null) throw new InvalidInputError(OVER)
  return await asked(
    async () =>
      loginOf(
        login,
        await openid.refreshTokenGrant(await discover(login), refreshToken, { audience: login.audience }),
        refreshToken,
      ),
    signal,
  )
}

/** Makes the refresh token worthless, where the IAM can. */
export async function revoke(login: Login, signal: AbortSignal): Promise<void> {
  const { refreshToken } = login
  if (refreshToken === null) return
  await asked(async () => {
    const iam = await discover(login)
    if (iam.serverMetadata().revocation_endpoint !== undefined)
      await openid.tokenRevocation(iam, refreshToken, { token_type_hint: 'refresh_token' })
  }, signal)
}

const OVER = 'the sign-in is over; sign in again: cygnet login'

async function discover({ issuer, clientId }: Place): Promise<openid.Configuration> {
  const address = new URL(issuer)
  if (!isSafeAddress(address))
    throw new InvalidInputError(`the IAM at ${address.host} is not reached over https`)
  const execute = address.protocol === 'http:' ? [openid.allowInsecureRequests] : []
  return await openid.discovery(address, clientId, undefined, openid.None(), {
    execute,
    timeout: ANSWER_SECONDS,
  })
}

function loginOf(
  { issuer, clientId, audience }: Place,
  tokens: Awaited<ReturnType<typeof openid.refreshTokenGrant>>,
  before: string | null,
): Login {
  const seconds = tokens.expiresIn() ?? SHORT_SECONDS
  const expiresAtMs = Date.now() + seconds * 1000
  return {
    issuer,
    clientId,
    audience,
    accessToken: tokens.access_token,
    expiresAtMs,
    refreshToken: tokens.refresh_token ?? before,
  }
}

/** What the IAM's refusals mean to a person. */
async function asked<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await work()
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof openid.ResponseBodyError) {
      if (error.error === 'access_denied')
        throw new InvalidInputError('the sign-in was stopped on the page of the IAM')
      if (error.error === 'expired_token')
        throw new InvalidInputError('nobody entered the code in time; begin again: cygnet login')
      if (error.error === 'invalid_grant') throw new InvalidInputError(OVER)
      throw new InvalidInputError(`the IAM refuses this (${plain(error.error)}, status ${error.status})`)
    }
    if (error instanceof InvalidInputError) throw error
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new TransientError(
      `the IAM cannot be asked: ${cause instanceof Error ? cause.message : 'no reason given'}`,
      {},
      { cause: error },
    )
  }
}

/** What another service wrote, for a terminal. */
const plain = (text: string) => text.replace(/\p{Cc}/gu, '').slice(0, 500)

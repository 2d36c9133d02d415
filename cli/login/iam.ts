/** Requests to the IAM: OAuth 2.0 device flow (RFC 8628), refresh, revocation. */
import * as openid from 'openid-client'
import * as z from 'zod'
import { isSafeAddress } from '../../shared/access/safe-address.ts'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import { cutText } from '../../shared/text.ts'
import type { Login } from './store.ts'

export const settingsSchema = z.object({
  issuer: z.url().nullable(),
  clientId: z.string().nullable(),
  audience: z.string(),
})

type Place = Pick<Login, 'issuer' | 'clientId' | 'audience'>

const ANSWER_SECONDS = 20
const WANTED_SCOPES = ['openid', 'profile', 'groups', 'wlcg.groups', 'offline_access']
/** Lifetime of a token when the IAM does not state it. */
const SHORT_SECONDS = 300

/**
 * Signs a person in: the person opens a page in any browser and enters a code.
 * @param show is called with the page, the same page with the code in its address (null where the IAM has
 * none), and the code.
 */
export async function signInByDevice(
  place: Place,
  show: (page: string, withCode: string | null, code: string) => void,
  signal: AbortSignal,
): Promise<Login> {
  return await explainRefusals(async () => {
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

/** A new access token, and a new refresh token where the IAM returns one. */
export async function refresh(login: Login, signal: AbortSignal): Promise<Login> {
  const { refreshToken } = login
  if (refreshToken === null) throw new InvalidInputError(SIGN_IN_ENDED)
  return await explainRefusals(
    async () =>
      loginOf(
        login,
        await openid.refreshTokenGrant(await discover(login), refreshToken, { audience: login.audience }),
        refreshToken,
      ),
    signal,
  )
}

/** Revokes the refresh token, where the IAM supports it. */
export async function revoke(login: Login, signal: AbortSignal): Promise<void> {
  const { refreshToken } = login
  if (refreshToken === null) return
  await explainRefusals(async () => {
    const iam = await discover(login)
    if (iam.serverMetadata().revocation_endpoint !== undefined)
      await openid.tokenRevocation(iam, refreshToken, { token_type_hint: 'refresh_token' })
  }, signal)
}

const SIGN_IN_ENDED = 'the sign-in has ended; sign in again: cygnet login'

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

/** Translates refusals of the IAM into sentences for people. */
async function explainRefusals<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await work()
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof openid.ResponseBodyError) {
      if (error.error === 'access_denied')
        throw new InvalidInputError('the sign-in was stopped on the page of the IAM')
      if (error.error === 'expired_token')
        throw new InvalidInputError('the code was not entered in time; start again: cygnet login')
      if (error.error === 'invalid_grant') throw new InvalidInputError(SIGN_IN_ENDED)
      throw new InvalidInputError(`the IAM refuses this (${plain(error.error)}, status ${error.status})`)
    }
    if (error instanceof InvalidInputError) throw error
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new TransientError(
      `the request to the IAM failed: ${cause instanceof Error ? cause.message : 'no reason given'}`,
      {},
      { cause: error },
    )
  }
}

/** Text of another service, made safe for a terminal. */
const plain = (text: string) => cutText(text.replace(/\p{Cc}/gu, ''), 500)

/**
 * Requests access tokens from an IAM: the refresh-token (§6) and client-credentials (§4.4) grants of OAuth2
 * (RFC 6749).
 */
import * as z from 'zod'
import { TransientError } from '../../errors.ts'
import type { HttpClient } from './http.ts'

export interface OAuthClient {
  readonly tokenUrl: URL
  readonly clientId: string
  readonly clientSecret: string
  readonly scope: string | undefined
  readonly audience: string | undefined
}

export interface Grant {
  readonly accessToken: string
  readonly lifetimeSeconds: number
  /** A new refresh token that replaces the one used, where the IAM rotates them. */
  readonly refreshToken: string | null
}

/** Assumed when neither `expires_in` nor the token itself states a lifetime. */
const UNKNOWN_LIFETIME_SECONDS = 600
/** Characters allowed in an HTTP header value; none that could start another header. */
const headerSafe = z.string().regex(/^[\x21-\x7e]+$/)
const reply = z.object({
  access_token: headerSafe,
  token_type: z
    .string()
    .regex(/^bearer$/i)
    .optional(),
  expires_in: z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]).nullish(),
  refresh_token: headerSafe.optional(),
})
const refusal = z.object({ error: z.string().regex(/^[\w.-]{1,60}$/) })

/** Advice for the errors of RFC 6749 §5.2. */
const ADVICE = new Map(
  Object.entries({
    invalid_client: 'check the client id and secret (CYGNET_TAPE_CLIENT_ID, CYGNET_TAPE_CLIENT_SECRET)',
    invalid_grant:
      'the refresh token has expired or was revoked: obtain a new one and set CYGNET_TAPE_REFRESH_TOKEN',
    invalid_scope:
      'the client may not ask for these scopes: check CYGNET_TAPE_SCOPE and the registration of the client',
    invalid_target: 'the client may not ask for this audience: check CYGNET_TAPE_AUDIENCE',
    unauthorized_client: 'the client may not use this grant: allow it in its registration at the IAM',
    unsupported_grant_type: 'the IAM does not know this grant: check CYGNET_TAPE_TOKEN_URL',
  }),
)

/**
 * Requests a token with the refresh token, or without one with the client's own credentials.
 * @throws TransientError for every other outcome (HTTP errors, an `error` in a reply of status 200, HTML, no
 * token, an expired one). The message states what to do and, of what was sent or received, only the error
 * code.
 */
export async function requestToken(
  http: HttpClient,
  client: OAuthClient,
  refreshToken: string | null,
  nowMs: number,
  signal: AbortSignal,
): Promise<Grant> {
  const form = new URLSearchParams({
    grant_type: refreshToken === null ? 'client_credentials' : 'refresh_token',
  })
  if (refreshToken !== null) form.set('refresh_token', refreshToken)
  if (client.scope !== undefined) form.set('scope', client.scope)
  if (client.audience !== undefined) form.set('audience', client.audience)
  const headers = {
    authorization: basic(client.clientId, client.clientSecret),
    'content-type': 'application/x-www-form-urlencoded',
    accept: 'application/json',
  }
  const answer = await http.send(
    { method: 'POST', url: client.tokenUrl, headers, body: form.toString() },
    signal,
  )
  const json = parsed(answer.text)
  const granted = reply.safeParse(json)
  if (answer.status !== 200 || refusal.safeParse(json).success || !granted.success)
    throw refused(client, answer.status, json)
  const { access_token: accessToken, expires_in: expiresIn, refresh_token: rotated } = granted.data
  const lifetimeSeconds = expiresIn ?? statedLifetime(accessToken, nowMs) ?? UNKNOWN_LIFETIME_SECONDS
  if (!(lifetimeSeconds > 0))
    throw new TransientError(`${client.tokenUrl.host} gave a token that has already expired`, {
      operator: true,
    })
  return { accessToken, lifetimeSeconds, refreshToken: rotated ?? null }
}

/** RFC 6749 §2.3.1: id and secret are form-encoded before they are joined. */
function basic(id: string, secret: string): string {
  const encoded = (text: string) => new URLSearchParams({ _: text }).toString().slice(2)
  return `Basic ${Buffer.from(`${encoded(id)}:${encoded(secret)}`).toString('base64')}`
}

function refused(client: OAuthClient, status: number, json: unknown): TransientError {
  const code = refusal.safeParse(json).data?.error
  const problem = code ?? (status === 200 ? 'an answer without a token' : `HTTP ${status}`)
  const advice =
    code === undefined
      ? 'check CYGNET_TAPE_TOKEN_URL and the state of the IAM'
      : (ADVICE.get(code) ?? 'ask the operators of the IAM')
  return new TransientError(`${client.tokenUrl.host} gave no token: ${problem}; ${advice}`, {
    httpStatus: status,
    ...(code === undefined ? {} : { code }),
    operator: ADVICE.has(code ?? '') || (status >= 400 && status < 500 && status !== 408 && status !== 429),
  })
}

/** Seconds until the `exp` of a JWT; null for opaque tokens. */
function statedLifetime(token: string, nowMs: number): number | null {
  const claims = parsed(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
  const stated = z.object({ exp: z.number() }).safeParse(claims)
  return stated.success ? stated.data.exp - nowMs / 1000 : null
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/**
 * Bearer tokens of the IAM: JWTs as described by RFC 9068 and the WLCG profile. An invalid one is refused
 * with a sentence of ours that contains no part of the token.
 */
import { errors, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { Caller } from '../../../shared/access/caller.ts'
import { CONFIRMED_MS } from '../../../shared/access/people.ts'
import type { Grant } from '../../../shared/access/roles.ts'
import type { Config } from '../../../shared/config/config.ts'
import { refusal } from '../http/problem.ts'
import type { Issuer } from './issuer.ts'
import { personOf } from './person.ts'

/**
 * Signatures with a key pair only. With `none` or HS256 anyone could sign, the latter with the public key as
 * the secret.
 */
const ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
  'Ed25519',
]
/**
 * Types of access tokens. Other types (logout+jwt, dpop+jwt, …) are signed with the same keys for other
 * purposes.
 */
const TYPES = ['at+jwt', 'application/at+jwt', 'jwt']
/** Tolerated clock difference. */
const TOLERANCE_SECONDS = 30
const LONGEST_TOKEN = 16_384

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** The 401 problem for an invalid token, with the reason. */
export const badToken = (detail: string) =>
  refusal(401, detail, { 'www-authenticate': 'Bearer error="invalid_token"' })

/**
 * Identifies the caller by the token.
 * @returns a function that rejects with a 401 problem for an invalid token, and with TransientError when its
 * validity cannot be determined.
 */
export function createBearerCheck(
  config: Config,
  issuer: Issuer,
  grants: readonly Grant[],
  now: () => Date,
): (token: string) => Promise<Caller> {
  const groupClaims = config.access.oidcGroupClaims
  return async (token) => {
    if (token.length > LONGEST_TOKEN || !JWT.test(token)) throw badToken('this token is unknown')
    const { issuer: name } = (await issuer.configuration()).serverMetadata()
    const claims = await verified(token, issuer, {
      issuer: name,
      audience: config.access.oidcAudience,
      algorithms: ALGORITHMS,
      clockTolerance: TOLERANCE_SECONDS,
      currentDate: now(),
      requiredClaims: ['exp', 'iat', 'sub'],
    })
    const issuedAt = Number(claims.iat) * 1000
    if (now().getTime() - issuedAt >= CONFIRMED_MS + TOLERANCE_SECONDS * 1000)
      throw badToken('this token was issued more than an hour ago; `cygnet login` obtains a new one')
    const person = personOf(claims, { groupClaims, grants })
    if (person === null) throw badToken('this token names no subject')
    // A clock of the IAM that is ahead does not confirm the future.
    return { ...person, confirmedAt: new Date(Math.min(issuedAt, now().getTime())) }
  }
}

async function verified(
  token: string,
  issuer: Issuer,
  options: JWTVerifyOptions,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, issuer.keyOf, options)
    if (!TYPES.includes((protectedHeader.typ ?? 'jwt').toLowerCase()))
      throw badToken('this is not an access token')
    // An ID token identifies a person to some client; a token bound to a key (RFC 7800) is invalid without
    // that key.
    if ('nonce' in payload || 'at_hash' in payload || 'cnf' in payload)
      throw badToken('this is not an access token')
    return payload
  } catch (error) {
    if (error instanceof errors.JOSEError) throw badToken(describeTokenError(error, options))
    throw error
  }
}

function describeTokenError(error: errors.JOSEError, { audience }: JWTVerifyOptions): string {
  if (error instanceof errors.JWTExpired) return 'this token has expired; `cygnet login` obtains a new one'
  if (!(error instanceof errors.JWTClaimValidationFailed))
    return 'this token is not signed by the IAM of this service'
  if (error.claim === 'aud') return `this token is for another service: its audience is not "${audience}"`
  if (error.claim === 'iss') return 'this token is of another IAM'
  if (error.claim === 'nbf') return 'this token is not valid yet'
  return `this token has no valid ${error.claim}`
}

/** The claims of a person in the IAM's answer to a sign-in or its renewal. */
import * as openid from 'openid-client'
import { hasGroupClaim } from './person.ts'

type Tokens = Awaited<ReturnType<typeof openid.refreshTokenGrant>>

/**
 * Those of the ID token, and of the userinfo endpoint unless the ID token has the groups: INDIGO IAM returns them
 * there unless the client is configured to include them in the token. Null when the IAM offers neither.
 * @param subject the expected one, for an answer without an ID token.
 */
export async function claimsOfTokens(
  issuer: openid.Configuration,
  tokens: Tokens,
  groupClaims: readonly string[],
  subject?: string,
): Promise<Readonly<Record<string, unknown>> | null> {
  const claims = tokens.claims()
  const sub = claims?.sub ?? subject
  const isWhole = claims !== undefined && hasGroupClaim(claims, groupClaims)
  if (isWhole || sub === undefined || issuer.serverMetadata().userinfo_endpoint === undefined)
    return claims === undefined ? null : { ...claims }
  return { ...claims, ...(await openid.fetchUserInfo(issuer, tokens.access_token, sub)) }
}

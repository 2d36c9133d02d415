/**
 * What the parts of access share, created once from the settings: the IAM, its tokens, sessions, and the
 * rights of anonymous callers.
 */

import type { Caller } from '../../../shared/access/caller.ts'
import { type Grant, parseRoles } from '../../../shared/access/roles.ts'
import { parseScope } from '../../../shared/access/scopes.ts'
import type { Context } from '../../../shared/context.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { createBearerCheck } from './bearer.ts'
import { type ConfirmRights, createConfirmRights } from './confirmed-rights.ts'
import { type Csrf, createCsrf } from './csrf.ts'
import { createIssuer, type Issuer } from './issuer.ts'
import { createSealedCookies, createSessions, type SealedCookies, type Sessions } from './session.ts'

export interface Identity {
  readonly anonymous: Caller
  readonly grants: readonly Grant[]
  readonly issuer: Issuer | null
  readonly confirmRights: ConfirmRights
  /** Null without an IAM: then every bearer token is an API token. */
  readonly checkBearer: ((token: string) => Promise<Caller>) | null
  /** Null where browsers cannot sign in. */
  readonly browser: BrowserSignIn | null
}

export interface BrowserSignIn {
  readonly issuer: Issuer
  /** Address of the catalogue as browsers reach it, with a trailing slash. */
  readonly home: URL
  readonly secret: string
  readonly cookies: SealedCookies
  readonly sessions: Sessions
  readonly csrf: Csrf
}

/**
 * @throws InvalidInputError for settings that contradict each other or are incomplete, so that no one assumes
 * they are in effect.
 */
export function createIdentity(
  context: Pick<Context<'database'>, 'config' | 'database' | 'log' | 'now'>,
): Identity {
  const { config, now } = context
  const scopes = config.access.anonymousScopes
  for (const scope of scopes) parseScope(scope)
  const grants = parseRoles(config.access.roles)
  const issuer = createIssuer(config, now)
  const confirmRights = createConfirmRights(context, issuer, grants)
  const browser = issuer && createBrowserSignIn(context, issuer, confirmRights)
  return {
    anonymous: { kind: 'anonymous', subject: 'anonymous', name: 'everybody', scopes },
    grants,
    issuer,
    confirmRights,
    checkBearer: issuer && createBearerCheck(config, issuer, grants, now),
    browser,
  }
}

function createBrowserSignIn(
  context: Pick<Context<'database'>, 'config' | 'database' | 'log' | 'now'>,
  issuer: Issuer,
  confirmRights: ConfirmRights,
): BrowserSignIn | null {
  const {
    access: { oidcClientId: clientId, publicUrl: url, sessionSecret: secret },
  } = context.config
  if (clientId === undefined) return null
  if (url === undefined || secret === undefined)
    throw new InvalidInputError(
      'to let browsers sign in (CYGNET_OIDC_CLIENT_ID), CYGNET_PUBLIC_URL and CYGNET_SESSION_SECRET are needed too',
    )
  const home = new URL(url.endsWith('/') ? url : `${url}/`)
  const cookies = createSealedCookies(home.protocol === 'https:')
  return {
    issuer,
    home,
    secret,
    cookies,
    sessions: createSessions(secret, cookies, context, confirmRights),
    csrf: createCsrf(secret, home.origin),
  }
}

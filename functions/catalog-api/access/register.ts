/**
 * Adds access control to the API. Must be added first: routes added before it are open to everyone and
 * without its headers.
 */
import type { MiddlewareHandler } from 'hono'
import { requestId } from 'hono/request-id'
import type { Context } from '../../../shared/context.ts'
import { registerAudit } from '../api/audit.ts'
import { registerMe } from '../api/me.ts'
import { registerOwnTokens } from '../api/own-tokens.ts'
import { registerSessions } from '../api/sessions.ts'
import type { Api } from '../http/route.ts'
import { authenticate } from './authenticate.ts'
import { createAddressOf } from './client-address.ts'
import { readableForms } from './csrf.ts'
import { limitFailures } from './failed-sign-ins.ts'
import { securityHeaders } from './headers.ts'
import { createIdentity, type Identity } from './identity.ts'
import { redirectToSignIn, registerSignIn } from './sign-in.ts'

/**
 * @param limits on requests: they run before anything reads the request (csrf.ts reads forms), and after the
 * headers, which their refusals need as well.
 * @returns also the middleware that adds the headers, for answers created elsewhere.
 * @throws InvalidInputError for invalid settings of access.
 */
export function registerAccess(
  api: Api,
  context: Pick<Context<'database'>, 'config' | 'database' | 'log' | 'now'>,
  limits: readonly MiddlewareHandler[] = [],
): { readonly identity: Identity; readonly headers: MiddlewareHandler } {
  const identity = createIdentity(context)
  const { issuer, browser } = identity
  const https = context.config.access.publicUrl?.startsWith('https:') === true
  const headers = securityHeaders({ https, issuerOrigin: issuer?.origin ?? null })
  api.app.use(headers)
  api.app.use(requestId())
  for (const limit of limits) api.app.use(limit)
  api.app.use(redirectToSignIn(identity))
  api.app.use(limitFailures(createAddressOf(context.config.access.trustedProxies), context.now))
  api.app.use(authenticate(context, identity))
  api.app.use(readableForms)
  if (browser !== null) api.app.use(browser.csrf.protect)
  registerSignIn(api, context, identity)
  registerMe(api, context.config)
  registerOwnTokens(api, context)
  registerSessions(api, context)
  registerAudit(api, context)
  return { identity, headers }
}

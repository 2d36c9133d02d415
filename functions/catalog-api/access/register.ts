/**
 * Access as the API has it: first of all parts, because what is added before it is for everybody and without
 * its headers.
 */
import type { MiddlewareHandler } from 'hono'
import type { Context } from '../../../shared/context.ts'
import { registerMe } from '../api/me.ts'
import { registerSessions } from '../api/sessions.ts'
import type { Api } from '../http/route.ts'
import { authenticate } from './authenticate.ts'
import { createAddressOf } from './client-address.ts'
import { readableForms } from './csrf.ts'
import { limitFailures } from './failed-sign-ins.ts'
import { securityHeaders } from './headers.ts'
import { createIdentity, type Identity } from './identity.ts'
import { registerSignIn, signInFirst } from './sign-in.ts'

/**
 * @param limits on what a request may be: they come before anything reads it (csrf.ts reads forms), and after
 * the headers, which their refusals have too.
 * @returns also the middleware that adds the headers, for answers made elsewhere.
 * @throws InvalidInputError for settings of access that cannot be.
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
  for (const limit of limits) api.app.use(limit)
  api.app.use(signInFirst(identity))
  api.app.use(limitFailures(createAddressOf(context.config.access.trustedProxies), context.now))
  api.app.use(authenticate(context, identity))
  api.app.use(readableForms)
  if (browser !== null) api.app.use(browser.csrf.protect)
  registerSignIn(api, context, identity)
  registerMe(api, context.config)
  registerSessions(api, context)
  return { identity, headers }
}

/** Who asks: the bearer token of a request, looked up by its hash. */
import type { MiddlewareHandler } from 'hono'
import type { ApiToken } from '../../../shared/access/schema.ts'
import { findToken, noteUse, stateOf } from '../../../shared/access/tokens.ts'
import type { StorageContext } from '../../../shared/runtime/context.ts'
import { refusal } from '../problem.ts'

/** What a route finds in its context once `authenticate` has let the request through. */
export interface ApiEnvironment {
  readonly Variables: { readonly token: ApiToken }
}

const BEARER = /^Bearer +(\S+) *$/i

const unauthorized = (detail: string) => refusal(401, detail, { 'www-authenticate': 'Bearer error="invalid_token"' })

/** Lets requests pass whose token is good now; answers the others 401. The token itself is never logged. */
export function authenticate(context: Pick<StorageContext, 'database' | 'log' | 'now'>): MiddlewareHandler<ApiEnvironment> {
  const { database, log, now } = context
  return async (c, next) => {
    const [, secret] = BEARER.exec(c.req.header('authorization') ?? '') ?? []
    if (secret === undefined) throw refusal(401, 'an API token is needed: Authorization: Bearer cyg_…', { 'www-authenticate': 'Bearer' })
    const token = await findToken(database, secret)
    if (token === null) throw unauthorized('this API token is not known')
    const state = stateOf(token, now())
    if (state === 'expired') throw unauthorized(`the API token "${token.name}" expired on ${day(token.expires_at)}`)
    if (state === 'revoked') throw unauthorized(`the API token "${token.name}" was revoked on ${day(token.revoked_at ?? now())}`)
    // A catalogue that takes no writes at the moment refuses nobody.
    await noteUse(database, token, now()).catch((error) => log.warn({ error }, 'token-use-not-noted'))
    c.set('token', token)
    await next()
  }
}

const day = (date: Date) => date.toISOString().slice(0, 10)

/**
 * Who asks, for every request: by an API token, a token of the IAM, the cookie of a signed-in browser, or
 * nobody in particular. A header wins over a cookie. One that is not good is refused and never taken for
 * nothing: its sender means to be somebody.
 */
import type { Context, MiddlewareHandler } from 'hono'
import type { Caller } from '../../../shared/access/caller.ts'
import { findToken, noteUse, stateOf } from '../../../shared/access/tokens.ts'
import type { Context as ServiceContext } from '../../../shared/context.ts'
import { HEALTH_PATHS } from '../api/health.ts'
import type { ApiEnvironment } from '../http/route.ts'
import { badToken } from './bearer.ts'
import type { Identity } from './identity.ts'

const BEARER = /^Bearer +(\S+) *$/i
const API_TOKEN = /^cyg_/

/**
 * Sets `caller`; who asks after the health of the service is nobody in particular. Nothing of a credential is
 * logged or answered.
 */
export function authenticate(
  context: Pick<ServiceContext<'database'>, 'database' | 'log' | 'now'>,
  { anonymous, checkBearer, browser }: Identity,
): MiddlewareHandler<ApiEnvironment> {
  const callerOf = async (c: Context<ApiEnvironment>): Promise<Caller> => {
    const header = c.req.header('authorization')
    if (header === undefined) return (await browser?.sessions.find(c)) ?? anonymous
    const [, token] = BEARER.exec(header) ?? []
    if (token === undefined)
      throw badToken('the Authorization header is none that is known here; it is: Bearer, and a token')
    return checkBearer === null || API_TOKEN.test(token)
      ? await holderOf(token, context)
      : await checkBearer(token)
  }
  return async (c, next) => {
    // Whoever asks after our health is told at once, whatever the catalogue and the IAM do.
    const caller = HEALTH_PATHS.has(c.req.path) ? anonymous : await callerOf(c)
    // What everybody may, each may: else signing in would take something away.
    c.set('caller', { ...caller, scopes: [...new Set([...caller.scopes, ...anonymous.scopes])] })
    await next()
  }
}

/** The holder of an API token that is good now. */
async function holderOf(
  secret: string,
  { database, log, now }: Pick<ServiceContext<'database'>, 'database' | 'log' | 'now'>,
): Promise<Caller> {
  const token = await findToken(database, secret)
  if (token === null) throw badToken('this API token is not known')
  const state = stateOf(token, now())
  if (state === 'expired') throw badToken(`the API token "${token.name}" expired on ${day(token.expiresAt)}`)
  if (state === 'revoked')
    throw badToken(`the API token "${token.name}" was revoked on ${day(token.revokedAt ?? now())}`)
  // A catalogue that takes no writes at the moment refuses nobody.
  await noteUse(database, token, now()).catch((error) => log.warn({ error }, 'token-use-not-noted'))
  return { kind: 'token', subject: `token:${token.id}`, name: token.name, scopes: token.scopes }
}

const day = (date: Date) => date.toISOString().slice(0, 10)

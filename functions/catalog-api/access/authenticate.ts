/**
 * Identifies the caller of every request: by an API token, a token of the IAM, the cookie of a signed-in
 * browser, or as anonymous. A header takes precedence over a cookie. An invalid credential is refused and not
 * treated as anonymous, since its sender expects to be identified.
 */
import type { Context, MiddlewareHandler } from 'hono'
import type { Caller } from '../../../shared/access/caller.ts'
import type { ApiToken } from '../../../shared/access/schema.ts'
import { scopesWithin } from '../../../shared/access/scopes.ts'
import { findToken, recordUse, stateOf } from '../../../shared/access/tokens.ts'
import type { Context as ServiceContext } from '../../../shared/context.ts'
import { HEALTH_PATHS } from '../api/health.ts'
import { refusal } from '../http/problem.ts'
import type { ApiEnvironment } from '../http/route.ts'
import { badToken } from './bearer.ts'
import type { ConfirmRights } from './confirmed-rights.ts'
import type { Identity } from './identity.ts'

const BEARER = /^Bearer +(\S+) *$/i
const API_TOKEN = /^cyg_/

/** Sets `caller`; health checks are always anonymous. Credentials appear in no log line and no answer. */
export function authenticate(
  context: Pick<ServiceContext<'database'>, 'database' | 'log' | 'now'>,
  { anonymous, checkBearer, browser, confirmRights }: Identity,
): MiddlewareHandler<ApiEnvironment> {
  const callerOf = async (c: Context<ApiEnvironment>): Promise<Caller> => {
    const header = c.req.header('authorization')
    if (header === undefined) return (await browser?.sessions.find(c)) ?? anonymous
    const [, token] = BEARER.exec(header) ?? []
    if (token === undefined)
      throw badToken('the Authorization header is not supported; it must be: Bearer, and a token')
    return checkBearer === null || API_TOKEN.test(token)
      ? await holderOf(token, context, confirmRights)
      : await checkBearer(token)
  }
  return async (c, next) => {
    // Health checks are answered without the catalogue and the IAM.
    const caller = HEALTH_PATHS.has(c.req.path) ? anonymous : await callerOf(c)
    // A signed-in caller keeps the rights of anonymous callers, else signing in would remove rights.
    c.set('caller', { ...caller, scopes: [...new Set([...caller.scopes, ...anonymous.scopes])] })
    await next()
  }
}

/** The holder of a valid API token. A personal one grants what its person may do as well, as last confirmed. */
async function holderOf(
  secret: string,
  { database, log, now }: Pick<ServiceContext<'database'>, 'database' | 'log' | 'now'>,
  confirmRights: ConfirmRights,
): Promise<Caller> {
  const token = await findToken(database, secret)
  if (token === null) throw badToken('this API token is unknown')
  const state = stateOf(token, now())
  if (state === 'expired') throw badToken(`the API token "${token.name}" expired on ${day(token.expiresAt)}`)
  if (state === 'revoked')
    throw badToken(`the API token "${token.name}" was revoked on ${day(token.revokedAt ?? now())}`)
  const caller =
    token.subject === null ? machineWith(token) : await personWith(token, token.subject, confirmRights)
  // A catalogue that accepts no writes at present refuses no caller.
  await recordUse(database, token, now()).catch((error) => log.warn({ error }, 'token-use-not-noted'))
  return caller
}

const machineWith = (token: ApiToken): Caller => {
  const { id, name, scopes } = token
  return { kind: 'token', subject: `token:${id}`, name, scopes, token }
}

async function personWith(
  { id, name, scopes }: ApiToken,
  subject: string,
  confirmRights: ConfirmRights,
): Promise<Caller> {
  const rights = await confirmRights.of(subject)
  if (rights.kind === 'unavailable')
    throw refusal(503, 'your groups cannot be confirmed by the IAM now; try again', { 'retry-after': '30' })
  if (rights.kind === 'lapsed')
    throw badToken(
      `the personal token "${name}" sleeps: its person signed in more than an hour ago, or the IAM ended the sign-in. Sign in again; on the page Tokens, let tokens last`,
    )
  const { person } = rights
  const held = scopesWithin(scopes, person.scopes)
  if (held.length === 0)
    throw badToken(
      `the personal token "${name}" has no rights left: its person is no longer in a group that gives them`,
    )
  return { kind: 'token', subject, name: person.name, scopes: held, personalToken: id }
}

const day = (date: Date) => date.toISOString().slice(0, 10)

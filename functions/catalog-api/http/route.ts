/**
 * Adds routes to the API, each with a rule that states who may use it. The list of rules is the basis of the
 * authorization matrix of the tests: a route without a rule cannot be added here, and one added in another
 * way is found there.
 */
import type { OpenAPIHono, RouteConfig } from '@hono/zod-openapi'
import type { Context, Handler, MiddlewareHandler } from 'hono'
import type { HTTPException } from 'hono/http-exception'
import { type Caller, mayDo, tagsAllowed } from '../../../shared/access/caller.ts'
import type { Right } from '../../../shared/access/rights.ts'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import { isTag } from '../../../shared/run.ts'
import type { HostOfRequest } from '../../../shared/runtime/handler.ts'
import { hasLapsed } from '../access/session.ts'
import { refusal } from './problem.ts'

/**
 * The context of a handler: the caller, and the address of the connection (not of a header) if the host
 * provides it.
 */
export interface ApiEnvironment {
  readonly Bindings: HostOfRequest
  readonly Variables: {
    readonly caller: Caller
    /** Also in the answer, in the log, and in the audit. */
    readonly requestId?: string
  }
}
export type ApiContext = Context<ApiEnvironment>

export type Rule =
  /** Health, sign-in, descriptions: open to everyone. */
  | { readonly open: true }
  /** A signed-in person, for what is their own. A token is not enough: a stolen one could make others. */
  | { readonly person: true }
  /** The right for the tag named by the path or query. */
  | { readonly right: Right; readonly tagOf: (c: ApiContext) => string }
  /** The right for at least one tag; the handler shows only what `tagsAllowed` returns. */
  | { readonly right: Right; readonly anyTag: true }
  /** The right for all tags, for what does not belong to one tag (queues, dead letters). */
  | { readonly right: Right; readonly everyTag: true }

type Guarded = Exclude<Rule, { readonly open: true }>

export interface RouteRule {
  readonly method: string
  /** In hono's notation, `/api/v1/runs/:tag/:run`. */
  readonly path: string
  readonly rule: Rule
}

export interface Api {
  readonly app: OpenAPIHono<ApiEnvironment>
  readonly rules: RouteRule[]
}

/**
 * A route of the API, described by its schema in the OpenAPI document. Parameters and bodies are validated
 * before the handler runs.
 */
export function addRoute<Route extends RouteConfig & { getRoutingPath(): string }>(
  { app, rules }: Api,
  route: Route,
  rule: Rule,
  handler: Parameters<typeof app.openapi<Route>>[1],
): void {
  rules.push({ method: route.method.toUpperCase(), path: route.getRoutingPath(), rule })
  app.use(route.getRoutingPath(), onlyFor(route.method, guard(rule)))
  app.openapi(route, handler)
}

/** A page, an asset, or a route whose path cannot be described in the OpenAPI document. */
export function addPage(
  { app, rules }: Api,
  method: 'GET' | 'POST',
  path: string,
  rule: Rule,
  handler: Handler<ApiEnvironment>,
): void {
  rules.push({ method, path, rule })
  app.on(method, path, guard(rule), handler)
}

const onlyFor =
  (method: string, middleware: MiddlewareHandler<ApiEnvironment>): MiddlewareHandler<ApiEnvironment> =>
  (c, next) =>
    c.req.method === method.toUpperCase() || (c.req.method === 'HEAD' && method === 'get')
      ? middleware(c, next)
      : next()

function guard(rule: Rule): MiddlewareHandler<ApiEnvironment> {
  return async (c, next) => {
    if (!('open' in rule) && !isAllowed(c, rule)) throw denied(c, rule)
    await next()
  }
}

function isAllowed(c: ApiContext, rule: Guarded): boolean {
  const caller = c.get('caller')
  if ('person' in rule) return caller.kind === 'person' && !hasLapsed(caller)
  if ('tagOf' in rule) return mayDo(caller, rule.right, rule.tagOf(c))
  if ('everyTag' in rule) return mayDo(caller, rule.right, EVERY_TAG)
  return tagsAllowed(caller, rule.right).length > 0
}

/**
 * An anonymous caller is asked to sign in; an identified one is told the required right and those they have.
 */
function denied(c: ApiContext, rule: Guarded): HTTPException {
  const { kind, name, scopes: all } = c.get('caller')
  if (kind === 'anonymous')
    return refusal(401, 'sign in, or send an API token: Authorization: Bearer …', {
      'www-authenticate': 'Bearer',
    })
  if (hasLapsed(c.get('caller'))) return refusal(401, LAPSED)
  if ('person' in rule) return refusal(403, 'only a signed-in person may do this, not a token: sign in')
  // A scope for all tags includes those for single tags.
  const scopes = all.filter(
    (scope) => scope.endsWith(`:${EVERY_TAG}`) || !all.includes(scope.replace(/:.*/s, `:${EVERY_TAG}`)),
  )
  const more = scopes.length > MOST_SCOPES ? ` and ${scopes.length - MOST_SCOPES} more` : ''
  const has = scopes.length === 0 ? 'none' : `${scopes.slice(0, MOST_SCOPES).join(', ')}${more}`
  return refusal(
    403,
    `${name} may not do this, which needs the right ${neededBy(c, rule)}; ${name} has ${has}`,
  )
}

const LAPSED = 'the IAM confirmed your rights more than an hour ago: sign in again, then repeat this'

/** Most scopes listed in a refusal. */
const MOST_SCOPES = 20

function neededBy(c: ApiContext, rule: Exclude<Guarded, { readonly person: true }>): string {
  const { right } = rule
  if ('anyTag' in rule) return `${right} for some tag`
  const tag = 'everyTag' in rule ? EVERY_TAG : rule.tagOf(c)
  // An invalid tag may be any text, since it came from the address.
  return tag !== EVERY_TAG && isTag(tag)
    ? `${right} for ${tag} (${right}:${tag})`
    : `${right} for all tags (${right}:${EVERY_TAG})`
}

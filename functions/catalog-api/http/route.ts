/**
 * How a route comes into the API: always with a rule that says who may use it. The rules are kept in a list,
 * which the authorization matrix of the tests is made from: a route without one cannot be added, and one
 * added past this is found there.
 */
import type { OpenAPIHono, RouteConfig } from '@hono/zod-openapi'
import type { Context, Handler, MiddlewareHandler } from 'hono'
import type { HTTPException } from 'hono/http-exception'
import { type Caller, mayDo, tagsAllowed } from '../../../shared/access/caller.ts'
import { EVERY_TAG, type Right } from '../../../shared/access/scopes.ts'
import { isTag } from '../../../shared/run.ts'
import type { HostOfRequest } from '../../../shared/runtime/handler.ts'
import { refusal } from './problem.ts'

/**
 * What a handler finds in its context: who asks, and from where if the host says so (of the connection, not
 * of a header).
 */
export interface ApiEnvironment {
  readonly Bindings: HostOfRequest
  readonly Variables: { readonly caller: Caller }
}
export type ApiContext = Context<ApiEnvironment>

export type Rule =
  /** Health, sign-in, descriptions: for everybody. */
  | { readonly open: true }
  /** The right for the tag that the path or query names. */
  | { readonly right: Right; readonly tagOf: (c: ApiContext) => string }
  /** The right for some tag; the handler shows only what `tagsAllowed` gives. */
  | { readonly right: Right; readonly anyTag: true }
  /** The right for all tags: what is not of one tag (queues, dead letters). */
  | { readonly right: Right; readonly everyTag: true }

type Guarded = Exclude<Rule, { readonly open: true }>

export interface RouteRule {
  readonly method: string
  /** As hono knows it, `/api/v1/runs/:tag/:run`. */
  readonly path: string
  readonly rule: Rule
}

export interface Api {
  readonly app: OpenAPIHono<ApiEnvironment>
  readonly rules: RouteRule[]
}

/**
 * A route of the API, described by its schema in the OpenAPI document. Parameters and bodies are checked
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

/** A page, an asset, or a route whose path the OpenAPI document cannot describe. */
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
  if ('tagOf' in rule) return mayDo(caller, rule.right, rule.tagOf(c))
  if ('everyTag' in rule) return mayDo(caller, rule.right, EVERY_TAG)
  return tagsAllowed(caller, rule.right).length > 0
}

/** Who is nobody is asked to say who they are; who is somebody learns what it takes, and what they have. */
function denied(c: ApiContext, rule: Guarded): HTTPException {
  const { kind, name, scopes: all } = c.get('caller')
  if (kind === 'anonymous')
    return refusal(401, 'sign in, or send an API token: Authorization: Bearer …', {
      'www-authenticate': 'Bearer',
    })
  // What holds for all tags holds for each.
  const scopes = all.filter(
    (scope) => scope.endsWith(`:${EVERY_TAG}`) || !all.includes(scope.replace(/:.*/s, `:${EVERY_TAG}`)),
  )
  const more = scopes.length > MOST_SCOPES ? ` and ${scopes.length - MOST_SCOPES} more` : ''
  const has = scopes.length === 0 ? 'none' : `${scopes.slice(0, MOST_SCOPES).join(', ')}${more}`
  return refusal(
    403,
    `${name} may not do this, which takes the right ${neededBy(c, rule)}; ${name} has ${has}`,
  )
}

/** Told of somebody's rights. */
const MOST_SCOPES = 20

function neededBy(c: ApiContext, rule: Guarded): string {
  const { right } = rule
  if ('anyTag' in rule) return `${right} for some tag`
  const tag = 'everyTag' in rule ? EVERY_TAG : rule.tagOf(c)
  // What is no tag may be anything: it came with the address.
  return tag !== EVERY_TAG && isTag(tag)
    ? `${right} for ${tag} (${right}:${tag})`
    : `${right} for all tags (${right}:${EVERY_TAG})`
}

/**
 * Who may do what: every route of the API with every kind of caller and several tags, made from the rules
 * that the routes were added with. A route without a rule, or one that does not keep to its rule, fails here.
 */
import { type Context, Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HEALTH_PATHS } from '../../../../functions/catalog-api/api/health.ts'
import { createApi } from '../../../../functions/catalog-api/app.ts'
import type { Api, ApiContext, RouteRule, Rule } from '../../../../functions/catalog-api/http/route.ts'
import { ROLES as ALL_ROLES, RIGHTS } from '../../../../shared/access/rights.ts'
import { parseRoles, scopesOfGroups } from '../../../../shared/access/roles.ts'
import { allows } from '../../../../shared/access/scopes.ts'
import { createToken, revokeTokens } from '../../../../shared/access/tokens.ts'
import { startTestIssuer, type TestIssuer } from '../../../support/functions/catalog-api/access-fixture.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const TAGS = ['LNGS', 'LNF', 'FLASH/2024'] as const
const ROLES =
  '/lngs=reader:LNGS;/all=reader:*;/flash=reader:FLASH/2024;/shifters=shifter:LNGS;/experts=expert:LNGS;/coordinators=run-coordinator:LNGS;/ops-lngs=operator:LNGS;/ops=operator:*'

/** Written out, not computed: what each caller may, by right, and for which tags. */
type Rights = Readonly<Partial<Record<string, '*' | readonly string[]>>>
const READER = (tags: '*' | readonly string[]): Rights => ({ read: tags, link: tags })
const PEOPLE: Readonly<Record<string, { readonly groups: readonly string[]; readonly may: Rights }>> = {
  'somebody without a group of ours': { groups: ['/other'], may: {} },
  'a reader of LNGS': { groups: ['/lngs'], may: READER(['LNGS']) },
  'a reader of a tag with a slash': { groups: ['/flash'], may: READER(['FLASH/2024']) },
  'a reader of all': { groups: ['/all'], may: READER('*') },
  'a shifter of LNGS': { groups: ['/shifters'], may: { ...READER(['LNGS']), recall: ['LNGS'] } },
  'an expert of LNGS': { groups: ['/experts'], may: { ...READER(['LNGS']), recall: ['LNGS'] } },
  'a run coordinator of LNGS': {
    groups: ['/coordinators'],
    may: { ...READER(['LNGS']), recall: ['LNGS'], override: ['LNGS'] },
  },
  'an operator of LNGS': {
    groups: ['/ops-lngs'],
    may: { ...READER(['LNGS']), recall: ['LNGS'], override: ['LNGS'], operate: ['LNGS'] },
  },
  'an operator of all': {
    groups: ['/ops'],
    may: { ...READER('*'), recall: '*', override: '*', operate: '*' },
  },
}
const TOKENS: Readonly<Record<string, { readonly scopes: readonly string[]; readonly may: Rights }>> = {
  'a token that pushes LNGS': { scopes: ['push:LNGS'], may: { push: ['LNGS'] } },
  'a token that overwrites LNF': { scopes: ['overwrite:LNF'], may: { push: ['LNF'], overwrite: ['LNF'] } },
  'a token that reads all': { scopes: ['read:*'], may: { read: '*' } },
  'a token that links LNGS': { scopes: ['link:LNGS'], may: { link: ['LNGS'] } },
  'a token that reports alerts of all': { scopes: ['alert:*'], may: { alert: '*' } },
  'a token that operates LNGS': {
    scopes: ['operate:LNGS'],
    may: { override: ['LNGS'], operate: ['LNGS'] },
  },
}

const anyTag = (may: Rights, right: string) => may[right] === '*' || (may[right]?.length ?? 0) > 0
const forTag = (may: Rights, right: string, tag: string) =>
  may[right] === '*' || (may[right]?.includes(tag) ?? false)

/** @param isPerson whether the caller is signed in: tokens cannot do what is the person's own. */
function isAllowed(may: Rights, rule: Rule, tag: string, isPerson: boolean): boolean {
  if ('open' in rule) return true
  if ('person' in rule) return isPerson
  if ('tagOf' in rule) return forTag(may, rule.right, tag)
  return 'everyTag' in rule ? may[rule.right] === '*' : anyTag(may, rule.right)
}

/** A request that leads to the route and names the tag wherever routes look for one. */
function requestFor({ method, path }: RouteRule, tag: string, authorization: string | null): Request {
  const place = path.replaceAll(/:(\w+)(\{[^}]*\})?\??/g, (_, name: string) => {
    if (name === 'tag') return encodeURIComponent(tag)
    if (name === 'key' || name === 'path') return `${tag}/run12345.mid.gz`
    return name === 'file' ? 'run12345.mid.gz' : '12345'
  })
  const url = new URL(place.replaceAll('*', 'x'), 'http://api')
  url.search = new URLSearchParams({ tag, site: tag, run: '12345' }).toString()
  const headers = new Headers(authorization === null ? {} : { authorization })
  if (method === 'GET') return new Request(url, { headers })
  headers.set('content-type', 'application/json')
  return new Request(url, { method, headers, body: JSON.stringify({ tag, run: 12345 }) })
}

/** The tag that the rule of the route takes from such a request, seen without the API around it. */
async function tagSeen({ method, path, rule }: RouteRule, request: Request): Promise<string> {
  const probe = new Hono()
  probe.on(method, path, (c: Context) => c.json('tagOf' in rule ? rule.tagOf(c as ApiContext) : ''))
  return (await (await probe.fetch(request)).json()) as string
}

describe('every caller, for every tag, on every route', () => {
  let context: TestTapeContext
  let issuer: TestIssuer
  let api: Api
  const now = () => new Date()

  beforeAll(async () => {
    issuer = await startTestIssuer(now)
    context = await startTestTapeContext({
      environment: {
        CYGNET_OIDC_ISSUER: issuer.url,
        CYGNET_ROLES: ROLES,
        CYGNET_REQUESTS_PER_MINUTE: '1000000',
      },
    })
    api = createApi(context)
  })
  afterAll(async () => {
    await issuer?.close()
    await context?.close()
  })

  /** Routes on which the caller is let in, or kept out, against the rule. */
  const breaches = async (
    authorization: string | null,
    may: Rights,
    isPerson = false,
  ): Promise<readonly string[]> => {
    const found: string[] = []
    for (const route of api.rules)
      for (const tag of TAGS) {
        const seen = await tagSeen(route, requestFor(route, tag, null))
        const answer = await api.app.fetch(requestFor(route, tag, authorization))
        await answer.body?.cancel()
        const allowed = isAllowed(may, route.rule, seen, isPerson)
        const refused = authorization === null ? 401 : 403
        const kept = allowed ? answer.status !== 401 && answer.status !== 403 : answer.status === refused
        if (!kept)
          found.push(
            `${route.method} ${route.path} of ${seen || tag}: ${answer.status}, ${allowed ? 'allowed' : `not ${refused}`}`,
          )
      }
    return found
  }

  it('every route has a rule, and each rule a route', () => {
    const routes = new Set(
      api.app.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`),
    )
    const ruled = new Set(api.rules.map(({ method, path }) => `${method} ${path}`))
    expect([...routes].filter((route) => !ruled.has(route))).toEqual([])
    expect([...ruled].filter((route) => !routes.has(route))).toEqual([])
    expect(ruled.size).toBe(api.rules.length)
    expect(api.rules.length).toBeGreaterThan(5)
  })

  it('a rule that depends on the tag sees the tag of the path', async () => {
    for (const route of api.rules.filter(({ rule, path }) => 'tagOf' in rule && /:(?:tag|key)\b/.test(path)))
      for (const tag of TAGS) expect(await tagSeen(route, requestFor(route, tag, null)), route.path).toBe(tag)
  })

  it('only routes meant for everyone are open', () => {
    const open = api.rules.filter(({ rule }) => 'open' in rule).map(({ method, path }) => `${method} ${path}`)
    const meant =
      /^GET \/(?:healthz|readyz|python(?:\/:name)?|sign-in|signed-in|assets\/.*|favicon\.ico|robots\.txt|api\/v1|api\/v1\/(?:openapi\.json|reference\.css|me|sign-in-settings))$|^POST \/(?:sign-out|theme)$/
    expect(open.filter((route) => !meant.test(route))).toEqual([])
  })

  it('an anonymous caller is asked to sign in on every route that is not open', async () => {
    expect(await breaches(null, {})).toEqual([])
  })

  it('these rights are those of the table of rights, for every role and all tags', () => {
    const grants = parseRoles(ROLES)
    for (const role of ALL_ROLES) expect(grants.map((grant) => grant.role)).toContain(role)
    for (const [name, { groups, may }] of Object.entries(PEOPLE))
      for (const right of RIGHTS)
        for (const tag of TAGS)
          expect([name, right, tag, forTag(may, right, tag)]).toEqual([
            name,
            right,
            tag,
            allows(scopesOfGroups(grants, groups), right, tag),
          ])
  })

  it.each(Object.entries(PEOPLE))('%s may what the role gives', async (_, { groups, may }) => {
    expect(await breaches(`Bearer ${await issuer.token({ 'wlcg.groups': groups })}`, may, true)).toEqual([])
  })

  it.each(Object.entries(TOKENS))('%s may that', async (_, { scopes, may }) => {
    const { secret } = await createToken(context.database, { name: 'machine', scopes, days: 1 }, now())
    expect(await breaches(`Bearer ${secret}`, may)).toEqual([])
  })

  it.each([
    ['a token made for a machine', { name: 'machine', machine: 'daq01' }],
    ['a token made without a machine, whose name is that of one', { name: 'daq01' }],
  ])('%s reports and deletes files of that machine alone', async (_, made) => {
    const scopes = ['push:*', 'overwrite:*', 'operate:*']
    const { secret } = await createToken(context.database, { ...made, scopes, days: 1 }, now())
    const object = `/api/v1/files/${context.bucket}/LNGS%2Frun12345.mid.gz`
    const file = { sha256: 'a'.repeat(64), sizeBytes: 1, path: '/data/run12345.mid.gz' }
    const requests = [
      [`${object}/local-copies`, { ...file, there: true }],
      [`${object}/local-copies`, { ...file, there: false }],
      [`${object}/deletions`, file],
      [`${object}/deletions/1`, { gone: true }],
    ] as const
    for (const [path, body] of requests)
      for (const host of ['daq01', 'daq02', 'DAQ01']) {
        const answer = await api.app.request(path, {
          method: 'POST',
          headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
          body: JSON.stringify({ ...body, host }),
        })
        const detail = await answer.text()
        expect([path, host, answer.status === 403], detail).toEqual([path, host, host !== 'daq01'])
        if (host !== 'daq01') expect(detail).toContain(`speaks for the machine daq01, not for ${host}`)
      }
    expect(await context.database.selectFrom('replicas').select('id').execute()).toEqual([])
  })

  it.each<[string, () => Promise<string>]>([
    ['an expired API token', async () => await apiToken(new Date(Date.now() - 2 * 86_400_000))],
    [
      'a revoked API token',
      async () => {
        const secret = await apiToken(now())
        await revokeTokens(context.database, 'all', now())
        return secret
      },
    ],
    ['an API token nobody made', async () => `cyg_${'a'.repeat(43)}`],
    ['an expired token of the IAM', () => issuer.token({ exp: 1, 'wlcg.groups': ['/ops'] })],
    ['a token of the IAM for another service', () => issuer.token({ aud: 'other', 'wlcg.groups': ['/ops'] })],
  ])(
    '%s opens no route at all, not even those for everybody; but for those of the health, which look at none',
    async (_, make) => {
      const authorization = `Bearer ${await make()}`
      for (const route of api.rules) {
        const answer = await api.app.fetch(requestFor(route, 'LNGS', authorization))
        await answer.body?.cancel()
        expect([answer.status, route.path]).toEqual([HEALTH_PATHS.has(route.path) ? 200 : 401, route.path])
      }
    },
  )

  const apiToken = async (at: Date) => {
    const scopes = ['read:*', 'link:*', 'recall:*', 'operate:*', 'overwrite:*']
    return (await createToken(context.database, { name: 'all', scopes, days: 1 }, at)).secret
  }
})

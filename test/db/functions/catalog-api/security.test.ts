/** What every answer tells browsers, what errors give away, and which settings of access are refused. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createIdentity } from '../../../../functions/catalog-api/access/identity.ts'
import { addPage } from '../../../../functions/catalog-api/http/route.ts'
import { startTestDatabase, type TestDatabase } from '../../../../infra/local/testing.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { openDatabase } from '../../../../shared/database/connect.ts'
import { createLogger } from '../../../../shared/log.ts'
import {
  createAccessApi,
  startTestIssuer,
  type TestIssuer,
} from '../../../support/functions/catalog-api/access-fixture.ts'
import { startHttpServer } from '../../../support/http-server.ts'

const SECRET = 'a secret of at least thirty-two characters'

describe('the API', () => {
  let server: TestDatabase
  let database: ReturnType<typeof openDatabase>
  let issuer: TestIssuer
  const lines: string[] = []
  const now = () => new Date()
  let cancelled = 0
  const stream = () =>
    new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(10)),
      cancel: () => void cancelled++,
    })
  const start = (environment: Readonly<Record<string, string>> = {}) => {
    const config = loadConfig({
      CYGNET_DATABASE_URL: server.url,
      CYGNET_OIDC_ISSUER: issuer.url,
      ...environment,
    })
    const log = createLogger({
      function: 'test',
      level: 'debug',
      destination: { write: (line) => lines.push(line) },
    })
    return createAccessApi({ config, database, log, now }, (api) => {
      addPage(api, 'GET', '/page', { open: true }, (c) => c.html('<p>'))
      addPage(api, 'GET', '/asset', { open: true }, (c) =>
        c.body('x', 200, { 'cache-control': 'public, max-age=31536000, immutable' }),
      )
      addPage(api, 'GET', '/cookie', { open: true }, (c) =>
        c.body('x', 200, { 'cache-control': 'public', 'set-cookie': 'a=b' }),
      )
      addPage(api, 'GET', '/framed', { open: true }, (c) =>
        c.body('x', 200, { 'content-security-policy': 'default-src *' }),
      )
      addPage(api, 'GET', '/stream', { open: true }, (c) => c.body(stream()))
      addPage(api, 'POST', '/form', { open: true }, async (c) => c.json(await c.req.parseBody()))
      addPage(api, 'GET', '/broken', { open: true }, () =>
        Promise.reject(new Error(`SELECT * FROM api_tokens at /srv/x.ts ${SECRET}`)),
      )
      addPage(api, 'GET', '/runs', { right: 'read', anyTag: true }, (c) => c.text('runs'))
    })
  }

  beforeAll(async () => {
    server = await startTestDatabase()
    database = openDatabase(server.url, 1)
    issuer = await startTestIssuer(now)
  })
  afterAll(async () => {
    await issuer?.close()
    await database?.destroy()
    await server?.drop()
  })

  it.each([
    '/page',
    '/asset',
    '/framed',
    '/broken',
    '/runs',
    '/nothing',
    '/api/v1/me',
    '/sign-in',
    '/signed-in',
  ])('lets a browser run, load and frame nothing foreign, whatever %s answers', async (path) => {
    const { headers } = await start().app.request(path)
    // What a route adds is another policy beside ours: browsers keep to both.
    expect(headers.get('content-security-policy')?.split(', ')[0]).toBe(
      `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self' ${issuer.url}; frame-ancestors 'none'; base-uri 'none'`,
    )
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': expect.stringContaining('camera=()'),
    })
    expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    expect(headers.has('x-powered-by')).toBe(false)
  })

  it('asks browsers to come over TLS for ever only where they did', async () => {
    expect((await start().app.request('/page')).headers.get('strict-transport-security')).toBeNull()
    const secure = await start({ CYGNET_PUBLIC_URL: 'https://cygnet.example/' }).app.request('/page')
    expect(secure.headers.get('strict-transport-security')).toBe('max-age=31536000')
  })

  it('allows caching only where a route allows it, and never of a cookie', async () => {
    const { app } = start()
    const cached = async (path: string) => (await app.request(path)).headers.get('cache-control')
    for (const path of ['/page', '/broken', '/runs', '/nothing', '/api/v1/me', '/cookie'])
      expect(await cached(path)).toBe('no-store')
    expect(await cached('/asset')).toContain('immutable')
  })

  it('hides what goes wrong inside', async () => {
    const answer = await start().app.request('/broken')
    expect(answer.status).toBe(503)
    expect(await answer.text()).not.toMatch(/SELECT|srv|secret|stack/)
    expect(lines.join('')).toContain('request-failed')
  })

  it('leaves no unread stream open', async () => {
    const { app } = start()
    const before = cancelled
    expect((await app.request('/stream', { method: 'HEAD' })).status).toBe(200)
    expect(cancelled).toBe(before + 1)
    const read = await app.request('/stream')
    expect(cancelled).toBe(before + 1)
    await read.body?.cancel()
  })

  it.each(['multipart/form-data', 'multipart/form-data; boundary=x'])(
    'says that a form (%s) cannot be read, and is not broken by it',
    async (type) => {
      const answer = await start().app.request('/form', {
        method: 'POST',
        body: '--x\r\nbad',
        headers: { 'content-type': type },
      })
      expect([answer.status, (await answer.json()) as object]).toEqual([
        400,
        expect.objectContaining({ detail: 'this form cannot be read' }),
      ])
    },
  )

  it('takes no method, header or path in place of another', async () => {
    const { app } = start()
    for (const [path, init] of [
      ['/runs', { method: 'HEAD' }],
      [
        '/runs',
        { headers: { 'x-original-url': '/page', 'x-rewrite-url': '/page', 'x-forwarded-user': 'operator' } },
      ],
      ['/runs', { headers: { 'x-http-method-override': 'OPTIONS' } }],
      ['/runs?caller=operator&scopes=read:*', {}],
    ] as const)
      expect((await app.request(path, init)).status).toBe(401)
    for (const path of ['//runs', '/runs/', '/page/../runs/', '/RUNS', '/runs;x', '/%72uns%00'])
      expect([401, 404]).toContain((await app.request(path)).status)
  })

  describe('believes keys only from the IAM itself', () => {
    afterEach(() => void vi.restoreAllMocks())
    const away = async (answer: (url: string) => object, headers: Readonly<Record<string, string>> = {}) => {
      const asked: string[] = []
      const fake = await startHttpServer((request, response) => {
        asked.push(request.url ?? '')
        const url = fake.origin
        const isDescription = request.url?.startsWith('/.well-known') === true
        response.writeHead(isDescription ? 200 : 302, {
          'content-type': 'application/json',
          ...(isDescription ? {} : headers),
        })
        response.end(JSON.stringify(isDescription ? { issuer: url, ...answer(url) } : {}))
      })
      const url = fake.origin
      const token = await issuer.token({ iss: url })
      const { status } = await start({ CYGNET_OIDC_ISSUER: url }).app.request('/runs', {
        headers: { authorization: `Bearer ${token}` },
      })
      await fake.close()
      return { status, asked }
    }

    it.each(['http://169.254.169.254/latest/meta-data', 'file:///etc/passwd', 'http://keys.example/'])(
      'not from %s',
      async (uri) => {
        const fetched = vi.spyOn(globalThis, 'fetch')
        expect((await away(() => ({ jwks_uri: uri }))).status).toBe(503)
        // It is refused by its name, not because nothing answers there.
        const addresses = fetched.mock.calls.map(([address]) =>
          String(address instanceof Request ? address.url : address),
        )
        expect(addresses).not.toEqual([])
        expect(addresses.filter((address) => !address.startsWith('http://127.0.0.1:'))).toEqual([])
      },
    )

    it('not by a redirect to somewhere else', async () => {
      const { status } = await away((url) => ({ jwks_uri: `${url}/keys` }), {
        location: `${issuer.url}/keys`,
      })
      expect(status).toBe(503)
    })

    it('not from one that calls itself by another name', async () => {
      expect((await away(() => ({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }))).status).toBe(503)
    })

    it('nor from an address that a token names', async () => {
      const { app } = start()
      const before = issuer.keyRequests()
      const token = await issuer.token(
        {},
        { jku: 'http://169.254.169.254/', x5u: 'http://169.254.169.254/', jwk: { kty: 'EC' } },
      )
      expect(
        (await app.request('/api/v1/me', { headers: { authorization: `Bearer ${token}` } })).status,
      ).toBe(200)
      expect(issuer.keyRequests()).toBe(before + 1)
    })
  })
})

describe('settings of access', () => {
  const url = 'mysql://u@h/d'
  const identity = (environment: Readonly<Record<string, string>>) =>
    createIdentity({
      config: loadConfig({ CYGNET_DATABASE_URL: url, ...environment }),
      database: openDatabase(url, 1),
      log: createLogger({ function: 'test', level: 'silent' }),
      now: () => new Date(),
    })

  it.each<[Readonly<Record<string, string>>, RegExp]>([
    [{ CYGNET_OIDC_ISSUER: 'http://iam.example.org/' }, /must be an https address/],
    [{ CYGNET_ROLES: '/cygno=root:*' }, /"\/cygno=root:\*"/],
    [{ CYGNET_ANONYMOUS_SCOPES: 'read' }, /"read" is not a scope/],
    [
      { CYGNET_OIDC_ISSUER: 'https://iam.example.org/', CYGNET_OIDC_CLIENT_ID: 'x' },
      /CYGNET_PUBLIC_URL and CYGNET_SESSION_SECRET/,
    ],
  ])('%j are refused at the start', (environment, sentence) => {
    expect(() => identity(environment)).toThrow(sentence)
  })

  it('without a client allow no sign-in with a browser, and tokens work', () => {
    const { browser, checkBearer } = identity({ CYGNET_OIDC_ISSUER: 'https://iam.example.org/' })
    expect(browser).toBeNull()
    expect(checkBearer).not.toBeNull()
  })
})

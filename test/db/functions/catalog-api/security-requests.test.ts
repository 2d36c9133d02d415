/**
 * The whole API against requests that somebody made up to get at what is not theirs: none is answered with
 * more than the caller may see, none breaks anything (a 5xx would be a handler that did not expect it), and
 * every answer has the headers of all.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createApi } from '../../../../functions/catalog-api/app.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { createLogger } from '../../../../shared/log.ts'
import {
  beginSignIn,
  startTestIssuer,
  type TestIssuer,
} from '../../../support/functions/catalog-api/access-fixture.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const HIDDEN = 'hidden-description'
const JSON_TYPE = { 'content-type': 'application/json' }
const cursor = (...parts: readonly unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url')

describe('a request', () => {
  let context: TestTapeContext
  let issuer: TestIssuer
  let api: ReturnType<typeof createApi>
  let everything: string
  let ofLngs: string
  const lines: string[] = []

  beforeAll(async () => {
    issuer = await startTestIssuer(() => new Date())
    context = await startTestTapeContext({
      environment: {
        CYGNET_OIDC_ISSUER: issuer.url,
        CYGNET_OIDC_CLIENT_ID: 'cygnet-web',
        CYGNET_PUBLIC_URL: 'https://cygnet.example/',
        CYGNET_SESSION_SECRET: 'a secret of at least thirty-two characters',
        CYGNET_ROLES: '/ops=operator:*;/shifters=shifter:LNGS',
        CYGNET_REQUESTS_PER_MINUTE: '0',
      },
    })
    await context.putRun('LNGS/run00007.mid.gz', 'seven')
    await context.putRun('LNF/run00009.mid.gz', 'nine')
    await context.database.updateTable('runs').set({ description: HIDDEN }).where('tag', '=', 'LNF').execute()
    const token = async (name: string, scopes: readonly string[]) =>
      (await createToken(context.database, { name, scopes, days: 1 }, new Date())).secret
    everything = await token('everything', ['read:*', 'link:*', 'recall:*', 'operate:*', 'overwrite:*'])
    ofLngs = await token('lngs', ['read:LNGS', 'link:LNGS', 'recall:LNGS', 'operate:LNGS', 'push:LNGS'])
  })
  beforeEach(() => {
    lines.length = 0
    const log = createLogger({
      function: 'test',
      level: 'error',
      destination: { write: (line) => lines.push(line) },
    })
    api = createApi({ ...context, log })
  })
  afterAll(async () => {
    await issuer?.close()
    await context?.close()
  })

  interface Asked extends RequestInit {
    readonly token?: string | null
  }
  /** Of an answer that has what every answer must have. */
  const ask = async (path: string, { token = everything, ...init }: Asked = {}) => {
    const headers = new Headers(init.headers)
    if (token !== null) headers.set('authorization', `Bearer ${token}`)
    const answer = await api.app.request(path, { ...init, headers })
    const text = await answer.text()
    expect([answer.status, path, lines], path).toEqual([
      expect.toSatisfy((status: number) => status < 500),
      path,
      [],
    ])
    expect(answer.headers.get('content-security-policy'), path).toMatch(
      /^default-src 'none'; script-src 'self'/,
    )
    expect(answer.headers.get('strict-transport-security'), path).toBe('max-age=31536000')
    expect(answer.headers.get('x-content-type-options'), path).toBe('nosniff')
    expect(answer.headers.get('cache-control'), path).toMatch(
      /^(?:no-store|private, no-cache|public, max-age=\d+(?:, immutable)?)/,
    )
    return { status: answer.status, headers: answer.headers, text }
  }
  const post = (
    path: string,
    body: string,
    headers: Readonly<Record<string, string>> = JSON_TYPE,
    token = everything,
  ) => ask(path, { method: 'POST', body, headers, token })

  it.each([
    `cursor=${cursor('-run', "1' OR 1=1", 1)}`,
    `cursor=${cursor('-run', { toString: 1 }, 1)}`,
    `cursor=${cursor('run', 7, 1)}`,
    `cursor=${cursor('-run', 7, "1' OR 1=1")}`,
    `cursor=${cursor('-run', -1, 1)}`,
    'cursor=%00',
    "sort=run'",
    'sort=run;DROP TABLE runs',
    "param.GEM1_V=1' OR '1'='1",
    "param.GEM1_V') OR 1=1 -- =1",
    'param.GEM1_V.raw=1',
    'param.__proto__=1',
    'param.GEM1_V.gte=1e400',
    'fields=__proto__',
    'fields=id,parameters',
    'fields=*',
    'tag=..',
    'tag=LNGS%00',
    'tag[]=LNGS',
    'from=4294967296',
    'limit=1e3',
    'since=-271821-04-20',
    `text=${'a'.repeat(201)}`,
    Array.from({ length: 51 }, (_, index) => `tag=T${index}`).join('&'),
    Array.from(
      { length: 11 },
      (_, index) =>
        `param.GEM1_V.${['eq', 'ne', 'lt', 'lte', 'gt', 'gte'][index % 6]}=${index}&param.GEM2_V=${index}`,
    ).join('&'),
  ])('for an invalid list is refused: %s', async (query) => {
    expect((await ask(`/api/v1/runs?${query.replaceAll(' ', '%20')}`)).status).toBe(400)
  })

  it.each([
    `cursor=${cursor('-run', 253_402_300_799_999, 1)}`,
    `cursor=${cursor('-run', null, Number.MAX_SAFE_INTEGER)}`,
    `sort=start&cursor=${cursor('start', null, 1)}`,
    `sort=-start&cursor=${cursor('-start', 253_402_300_799_999, 1)}`,
    'since=0000-01-01',
    'until=9999-12-31T23:59:59-23:59',
    'param.GEM1_V.gte=1e308',
    'param.run_description=%5C%27%20OR%201=1',
    'text=%25%27%20OR%201=1%20--%20%5C',
    'text=%00',
    'text=|',
  ])(
    'for a list at the edge of what can be asked is answered, by what the caller may see: %s',
    async (query) => {
      const { status, text } = await ask(`/api/v1/runs?${query}`, { token: ofLngs })
      expect(status).toBe(200)
      expect(text).not.toContain(HIDDEN)
    },
  )

  it('for runs of a tag that is no text is answered as for any unknown tag', async () => {
    const { status, text } = await ask('/api/v1/runs?tag=%ff', { token: everything })
    expect(status).toBe(404)
    expect(text).not.toContain(HIDDEN)
  })

  it.each([
    'run=7%20OR%201=1',
    "run=7'",
    'run=7;DROP%20TABLE%20runs',
    'run=7%20UNION%20SELECT%20*%20FROM%20api_tokens',
    'run=0x7',
    'run=%EF%BC%97',
    'run=99999999999999999999',
    'start=1&end=9%27',
    'db=api_tokens',
    'db=Runlog%00',
    'db=information_schema.tables',
    'db=%3Cscript%3E',
  ])('of the old tools with %s puts nothing into SQL, and repeats nothing', async (query) => {
    const { status, text, headers } = await ask(`/cygno_sql_query.php?${query}`)
    expect(status).toBe(400)
    expect(text).not.toMatch(/script|UNION|api_tokens|7/)
    // What is shown as a page runs nothing there.
    expect(headers.get('content-security-policy')).toContain('sandbox')
  })

  it.each([
    '/LNF/run00009.mid.gz',
    '/BUCKET/LNF/run00009.mid.gz',
    '/v1/AUTH_x/BUCKET/LNF/run00009.mid.gz',
    '/x:BUCKET/LNF/run00009.mid.gz',
    '/BUCKET/LNGS/../LNF/run00009.mid.gz',
    '/BUCKET/LNGS%2F..%2FLNF%2Frun00009.mid.gz',
    '/LNGS%2F..%2FLNF/run00009.mid.gz',
    '/LNGS%252F..%252FLNF/run00009.mid.gz',
    '/LNGS/%2e%2e/LNF/run00009.mid.gz',
    '//LNF/run00009.mid.gz',
    '/LNF%00/run00009.mid.gz',
    '/LNGS/run00007.mid.gz%0d%0aLocation:%20x',
    '/api/v1/runs/LNF/9',
    '/api/v1/runs/LNF/9/files',
    '/api/v1/runs/LNF/9/links',
    '/api/v1/runs/LNGS%2F..%2FLNF/9/links',
    '/api/v1/runs/%2A/9',
    '/api/v1/runs?tag=LNF',
    '/api/v1/runs?tag=LNGS&tag=LNF',
    '/api/v1/runs?tag=*',
    `/api/v1/runs?sort=run&cursor=${cursor('run', 0, 1)}`,
    '/api/v1/runs?text=hidden',
    '/api/v1/runs?format=csv',
    '/api/v1/files/BUCKET/LNF/run00009.mid.gz/copies',
    '/api/v1/files/BUCKET/LNGS%2F..%2FLNF%2Frun00009.mid.gz/copies',
    '/api/v1/replicas/summary?tag=LNF',
    '/cygno_sql_query.php?site=lnf&run=9',
    '/cygno_sql_query.php?site=&site=lnf',
    '/runs/LNF/9',
    '/runs?tag=LNF',
    '/runs?text=hidden',
    '/replicas?tag=LNF',
    '/queues',
    '/api/v1/queues',
    '/api/v1/dead/runs',
    '/assets/../../package.json',
    '/assets/..%2f..%2fpackage.json',
    '/assets/%2e%2e%2fhandler.ts',
  ])('for an object of another tag, or of none, shows and redirects to nothing: %s', async (place) => {
    const path = place.replace('BUCKET', context.bucket)
    const [got, head] = [
      await ask(path, { token: ofLngs }),
      await ask(path, { token: ofLngs, method: 'HEAD' }),
    ]
    expect(head.status).toBe(got.status)
    for (const { text, headers } of [got, head]) {
      expect(headers.get('location') ?? '').not.toContain('LNF/run')
      expect(text).not.toMatch(/hidden-description|"runNumber":9|run00009[^<]*X-Amz|dependencies/)
    }
  })

  it.each<[object, RegExp]>([
    [{ runs: [{ tag: 'LNF', run: 9 }] }, /"status":403/],
    [{ runs: [{ tag: '*', run: 9 }] }, /"status":400.*not a tag/],
    [{ files: [{ bucket: 'BUCKET', key: 'LNF/run00009.mid.gz' }] }, /"status":403/],
    [{ files: [{ bucket: 'BUCKET', key: 'LNGS/../LNF/run00009.mid.gz' }] }, /no such file/],
    [{ files: [{ bucket: 'BUCKET', key: 'secret.txt' }], check: true }, /no such file/],
    [{ files: [{ bucket: 'another', key: 'LNGS/run00007.mid.gz' }], check: true }, /no such file/],
    [{ files: [{ bucket: 'BUCKET', key: 'LNGS/run00007.mid.gz\0' }] }, /no such file/],
  ])('for links to what is not the caller’s, or not catalogued, gets none: %j', async (body, answer) => {
    const { text } = await post(
      '/api/v1/links',
      JSON.stringify(body).replace('BUCKET', context.bucket),
      JSON_TYPE,
      ofLngs,
    )
    expect(text).toMatch(answer)
    expect(text).not.toContain('X-Amz')
  })

  it.each<[string, string, Readonly<Record<string, string>>]>([
    ['nothing', '', JSON_TYPE],
    ['half of it', '{', JSON_TYPE],
    ['null', 'null', JSON_TYPE],
    ['arrays in arrays', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, JSON_TYPE],
    ['objects in objects', `${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}`, JSON_TYPE],
    ['a prototype', '{"__proto__":{"runs":[{"tag":"LNGS","run":7}]}}', JSON_TYPE],
    ['too much', 'x'.repeat(300_000), JSON_TYPE],
    ['text', '{"runs":[{"tag":"LNGS","run":7}]}', { 'content-type': 'text/plain' }],
    ['a form', 'runs=1', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a broken form', '--x\r\nbad', { 'content-type': 'multipart/form-data; boundary=x' }],
    ['another charset', '{}', { 'content-type': 'application/json; charset=utf-16' }],
    ['compressed', '\x1f\x8b', { ...JSON_TYPE, 'content-encoding': 'gzip' }],
  ])('with a body of %s is refused, wherever it goes', async (_, body, headers) => {
    for (const path of ['/api/v1/links', '/api/v1/uploads/sign', '/queues/runs/retry', '/runs/links']) {
      const { status } = await post(path, body, headers)
      // The page of links shows its form again to who has chosen no run.
      expect([path, status]).toEqual([
        path,
        path === '/runs/links' ? expect.any(Number) : expect.toSatisfy((code: number) => code >= 400),
      ])
    }
  })

  it.each(['PUT', 'PATCH', 'OPTIONS', 'PROPFIND', 'QUERY', 'POST'])(
    'by %s does nothing that a GET or DELETE would',
    async (method) => {
      const headers = {
        'x-http-method-override': 'GET',
        'x-method-override': 'DELETE',
        origin: 'https://evil.example',
      }
      for (const path of [
        '/api/v1/runs',
        '/api/v1/sessions?subject=person:x',
        '/queues',
        '/LNGS/run00007.mid.gz',
        '/?_method=GET',
      ]) {
        const answer = await ask(path, { method, headers })
        expect([path, answer.status]).toEqual([path, method === 'OPTIONS' ? 204 : 405])
        expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
      }
    },
  )

  it('with another host in it leads nowhere but to ours', async () => {
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      forwarded: 'host=evil.example',
      accept: 'text/html',
    }
    for (const path of [
      '/runs',
      '/sign-in',
      '/sign-in?to=//evil.example',
      '//evil.example/',
      '/LNGS/run00007.mid.gz',
    ]) {
      const { headers: answer } = await ask(`http://evil.example${path}`, { token: null, headers })
      expect(decodeURIComponent(answer.get('location') ?? '')).not.toMatch(/evil\.example|^http:\/\/cygnet/)
    }
    const { headers: answer, text } = await ask('http://evil.example/api/v1/runs?limit=1', {
      headers: { host: 'evil.example' },
    })
    expect(answer.get('link')).toMatch(/^<https:\/\/cygnet\.example\/api\/v1\/runs\?/)
    expect(text + (await ask('http://evil.example/runs', { headers })).text).not.toContain('evil.example')
  })

  it('for an answer that one caller has seen reveals nothing to another by its tag', async () => {
    const { headers } = await ask('/api/v1/runs/LNF/9')
    const etag = headers.get('etag') ?? ''
    expect(headers.get('vary')).toContain('Authorization, Cookie')
    expect((await ask('/api/v1/runs/LNF/9', { headers: { 'if-none-match': etag } })).status).toBe(304)
    for (const tag of [etag, '*'])
      expect(
        (await ask('/api/v1/runs/LNF/9', { token: ofLngs, headers: { 'if-none-match': tag } })).status,
      ).toBe(403)
  })

  describe('of a signed-in browser', () => {
    const signIn = async () => {
      const { cookie, state, nonce } = await beginSignIn(api)
      issuer.setSignIn({ nonce, 'wlcg.groups': ['/shifters'] })
      const answer = await api.app.request(`/signed-in?code=c&state=${state}`, { headers: { cookie } })
      return /(__Host-cygnet=[^;]+)/.exec(answer.headers.getSetCookie().join('\n'))?.[1] ?? ''
    }

    it('that followed a link on another site has nothing brought back from tape', async () => {
      const cookie = await signIn()
      const recall = '/api/v1/runs/LNGS/7/links?recall=true'
      // What browsers send with a link that is followed: SameSite=Lax lets the cookie through.
      const headers = { cookie, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
      for (const method of ['GET', 'HEAD'])
        expect((await ask(recall, { token: null, method, headers })).status).toBe(403)
      expect((await ask('/api/v1/runs/LNGS/7/links', { token: null, headers })).status).toBe(200)
      expect((await ask(recall, { token: ofLngs })).status).toBe(200)
    })

    it.each([
      'id_token=x',
      'code=c&code=d',
      'response=x.y.z',
      'error=%3Cscript%3E',
      'code=c&iss=https://evil.example',
      '%',
    ])('that comes back from the IAM with %s is asked to start again', async (query) => {
      const { cookie, state } = await beginSignIn(api)
      const { status, text } = await ask(`/signed-in?${query}&state=${state}`, {
        token: null,
        headers: { cookie },
      })
      expect([400, 403]).toContain(status)
      expect(text).toContain('start again')
      expect(text).not.toContain('script')
    })
  })
})

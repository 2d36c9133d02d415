/**
 * Signing in with a browser: through the embedded IAM, and against answers of an IAM that somebody made up.
 */
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { addPage } from '../../../../functions/catalog-api/http/route.ts'
import { csrfTokenOf } from '../../../../functions/catalog-api/pages/options.ts'
import { type Iam, startIam } from '../../../../infra/local/services/iam/iam.ts'
import { startTestDatabase, type TestDatabase, temporaryFolder } from '../../../../infra/local/testing.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { openDatabase } from '../../../../shared/database/connect.ts'
import { migrate } from '../../../../shared/database/migrate.ts'
import { createLogger } from '../../../../shared/log.ts'
import { createFormBrowser, type FormBrowser } from '../../../support/form-browser.ts'
import {
  beginSignIn,
  createAccessApi,
  startTestIssuer,
  type TestIssuer,
} from '../../../support/functions/catalog-api/access-fixture.ts'

const HOUR_MS = 3_600_000
const SITE = 'http://127.0.0.1:9'

describe('a browser', () => {
  const dataFolder = temporaryFolder()
  let server: TestDatabase
  let database: ReturnType<typeof openDatabase>
  let iam: Iam
  let away: TestIssuer
  let nowMs = Date.now()
  const lines: string[] = []
  const now = () => new Date(nowMs)

  const start = (environment: Readonly<Record<string, string>> = {}) => {
    const config = loadConfig({ CYGNET_DATABASE_URL: server.url, ...iam.environment, ...environment })
    const log = createLogger({
      function: 'test',
      level: 'debug',
      destination: { write: (line) => lines.push(line) },
    })
    return createAccessApi({ config, database, log, now }, (api, identity) => {
      for (const path of ['/runs', '/'])
        addPage(api, 'GET', path, { right: 'read', anyTag: true }, (c) =>
          c.text(`${c.get('caller').name} at ${new URL(c.req.url).search}`),
        )
      addPage(api, 'GET', '/token', { open: true }, (c) => c.text(csrfTokenOf(c, identity) ?? 'none'))
      addPage(api, 'POST', '/act', { right: 'read', anyTag: true }, async (c) =>
        c.json({ got: await c.req.parseBody() }),
      )
    })
  }
  let api: ReturnType<typeof start>
  const open = () =>
    createFormBrowser({
      fetchOf: async (request) =>
        request.url.startsWith(SITE) ? await api.app.fetch(request) : await fetch(request),
    })
  const user = (name: string) => ({
    name,
    password: iam.users.find((known) => known.name === name)?.password ?? '',
  })
  const signIn = async (name: string, to = '/runs?tag=LNGS', browser = open()) => {
    const page = await browser.submit(
      await browser.open(`${SITE}/sign-in?to=${encodeURIComponent(to)}`),
      user(name),
    )
    return { browser, page }
  }
  const cookieOf = (browser: FormBrowser, name = 'cygnet') => browser.cookies.get(SITE)?.get(name) ?? ''
  const me = async (headers: Readonly<Record<string, string>>) =>
    (await (await api.app.request(`${SITE}/api/v1/me`, { headers })).json()) as Record<string, unknown>

  beforeAll(async () => {
    server = await startTestDatabase()
    database = openDatabase(server.url, 1)
    await migrate(database)
    iam = await startIam({ dataFolder, publicUrl: `${SITE}/` })
    away = await startTestIssuer(now)
  })
  beforeEach(() => {
    nowMs = Date.now()
    api = start()
  })
  afterAll(async () => {
    await away?.close()
    await iam?.stop()
    await database?.destroy()
    await server?.drop()
    rmSync(dataFolder, { recursive: true, force: true })
  })

  it.each([
    ['reader', ['read:*', 'link:*']],
    ['shifter', ['read:*', 'link:*', 'recall:*']],
    ['operator', ['read:*', 'link:*', 'recall:*', 'operate:*']],
  ])('signs in as %s, comes back to where it was going, and is known', async (name, scopes) => {
    const { browser, page } = await signIn(name)
    expect(page).toMatchObject({ status: 200, text: `${name} at ?tag=LNGS` })
    expect(page.url.href).toBe(`${SITE}/runs?tag=LNGS`)
    expect(await me({ cookie: `cygnet=${cookieOf(browser)}` })).toEqual({ kind: 'person', name, scopes })
    expect(browser.cookies.get(SITE)?.has('cygnet-sign-in')).toBe(false)
  })

  it('that requests a page is redirected to the sign-in and back; a program gets a 401', async () => {
    const browser = open()
    const page = await browser.submit(await browser.open(`${SITE}/runs?sort=-run&from=1`), user('reader'))
    expect(page.url.href).toBe(`${SITE}/runs?sort=-run&from=1`)
    const answer = await api.app.request(`${SITE}/runs`)
    expect(answer.status).toBe(401)
    expect(
      (
        await api.app.request(`${SITE}/runs`, {
          headers: { accept: 'text/html', authorization: 'Bearer cyg_x' },
        })
      ).status,
    ).toBe(401)
  })

  it('stores a session that scripts cannot read, that it cannot decrypt, and that ends after eight hours', async () => {
    const { browser } = await signIn('shifter')
    const session = cookieOf(browser)
    expect(session.length).toBeLessThan(1000)
    expect(Buffer.from(session.split('.')[0] ?? '', 'base64url').toString()).toBe(
      '{"alg":"dir","enc":"A256GCM"}',
    )
    expect(Buffer.from(session, 'base64url').toString('latin1')).not.toContain('shifter')
    nowMs += 8 * HOUR_MS - 60_000
    expect(await me({ cookie: `cygnet=${session}` })).toMatchObject({ kind: 'person' })
    nowMs += 2 * 60_000
    expect(await me({ cookie: `cygnet=${session}` })).toMatchObject({ kind: 'anonymous', scopes: [] })
  })

  it('that lets tokens last is asked for no rights again; after leaving a group they are gone within the hour', async () => {
    const browser = open()
    const page = await browser.submit(
      await browser.open(`${SITE}/sign-in?lasting=yes&to=${encodeURIComponent('/runs')}`),
      user('shifter'),
    )
    expect(page).toMatchObject({ status: 200, text: 'shifter at ' })
    const by = { cookie: `cygnet=${cookieOf(browser)}`, origin: SITE, 'content-type': 'application/json' }
    const body = JSON.stringify({ name: 'notebook', scopes: ['read:*', 'recall:LNGS'] })
    const made = await api.app.request(`${SITE}/api/v1/me/tokens`, { method: 'POST', headers: by, body })
    expect(made.status).toBe(201)
    const { token, lasting } = (await made.json()) as { readonly token: string; readonly lasting: boolean }
    expect(lasting).toBe(true)
    const mine = async () => (await me({ authorization: `Bearer ${token}` })).scopes
    nowMs += 5 * HOUR_MS
    expect(await mine()).toEqual(['read:*', 'recall:LNGS'])
    iam.setGroups('shifter', ['/cygno'])
    try {
      nowMs += HOUR_MS
      expect(await mine()).toEqual(['read:*'])
    } finally {
      iam.setGroups('shifter', ['/cygno', '/cygno/shifters'])
    }
  })

  it('gets cookies of this host alone, sent only over TLS, where the site has it', async () => {
    for (const [home, cookie] of [
      [`${SITE}/`, /^cygnet-sign-in=[\w.-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/],
      [
        'https://cygnet.example/',
        /^__Host-cygnet-sign-in=[\w.-]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      ],
    ] as const) {
      api = start({ CYGNET_PUBLIC_URL: home })
      const answer = await api.app.request('/sign-in')
      expect(answer.headers.getSetCookie()).toEqual([expect.stringMatching(cookie)])
      expect(answer.headers.get('cache-control')).toBe('no-store')
      const asked = new URL(answer.headers.get('location') ?? '')
      expect(Object.fromEntries(asked.searchParams)).toMatchObject({
        redirect_uri: `${home}signed-in`,
        response_type: 'code',
        client_id: 'cygnet',
        scope: 'openid profile groups wlcg.groups',
        code_challenge_method: 'S256',
        state: expect.stringMatching(/.{20}/),
        nonce: expect.stringMatching(/.{20}/),
      })
    }
  })

  it('is not known by a cookie that was changed, made with another secret, or for another purpose', async () => {
    const { browser } = await signIn('reader')
    const session = cookieOf(browser)
    const changed = `${session.slice(0, -3)}${session.endsWith('AAA') ? 'BBB' : 'AAA'}`
    const answer = await api.app.request('/sign-in')
    const attempt = /cygnet-sign-in=([^;]+)/.exec(answer.headers.get('set-cookie') ?? '')?.[1]
    for (const cookie of [changed, attempt, '', 'x', 'a.b.c.d.e', `${session}x`])
      expect(await me({ cookie: `cygnet=${cookie}` })).toMatchObject({ kind: 'anonymous' })
    expect(await me({ cookie: `__Host-cygnet=${session}` })).toMatchObject({ kind: 'anonymous' })
    api = start({ CYGNET_SESSION_SECRET: 'another secret of at least 32 characters' })
    expect(await me({ cookie: `cygnet=${session}` })).toMatchObject({ kind: 'anonymous' })
  })

  it('with a token in a header is identified by the token; an invalid one is not replaced by the cookie', async () => {
    const { browser } = await signIn('operator')
    const headers = { cookie: `cygnet=${cookieOf(browser)}`, accept: 'application/json' }
    const answer = await api.app.request(`${SITE}/api/v1/me`, {
      headers: { ...headers, authorization: 'Bearer a.b.c' },
    })
    expect(answer.status).toBe(401)
  })

  it('that did not begin the sign-in cannot end it, nor can the one that did, twice', async () => {
    let answerUrl = ''
    const browser = createFormBrowser({
      fetchOf: async (request) =>
        request.url.startsWith(SITE) ? await api.app.fetch(request) : await fetch(request),
      follow: (url) => {
        if (url.pathname === '/signed-in') answerUrl = url.href
        return url.pathname !== '/signed-in'
      },
    })
    await browser.submit(await browser.open(`${SITE}/sign-in`), user('operator'))
    const attempt = cookieOf(browser, 'cygnet-sign-in')
    const end = (url: string, cookie = attempt) =>
      api.app.request(url, { headers: { cookie: `cygnet-sign-in=${cookie}` } })
    const other = new URL(answerUrl)
    other.searchParams.set('state', 'another')
    for (const answer of [
      await end(answerUrl, ''),
      await end(answerUrl, 'x.y.z'),
      await end(other.href),
      await end(`${SITE}/signed-in`),
      await end(
        `${SITE}/signed-in?code=made-up&state=${new URL(answerUrl).searchParams.get('state')}&iss=https://evil.example`,
      ),
    ]) {
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({ detail: expect.stringContaining('start again') })
      expect(answer.headers.get('set-cookie') ?? '').not.toContain('cygnet=')
    }
    expect((await end(answerUrl)).status).toBe(302)
    expect((await end(answerUrl)).status).toBe(400)
    nowMs += 11 * 60_000
    expect((await end(answerUrl)).status).toBe(400)
  })

  describe('with an IAM of its own', () => {
    const ended = async (changes: Readonly<Record<string, unknown>>, userinfo = {}) => {
      api = start({ CYGNET_OIDC_ISSUER: away.url, CYGNET_OIDC_CLIENT_ID: 'cygnet-web' })
      const { cookie, state, nonce } = await beginSignIn(api)
      away.setSignIn({ nonce, ...changes }, userinfo)
      return await api.app.request(`/signed-in?code=c&state=${state}`, { headers: { cookie } })
    }
    const sessionOf = (answer: Response) =>
      /(cygnet=[^;]+)/.exec(answer.headers.getSetCookie().join('\n'))?.[1] ?? ''

    it('is signed in by its ID token', async () => {
      const answer = await ended({ sub: 'bob', name: 'Bob\u202e <b>\n' })
      expect(answer.status).toBe(302)
      expect(await me({ cookie: sessionOf(answer) })).toEqual({
        kind: 'person',
        name: 'Bob <b>',
        scopes: ['read:*', 'link:*'],
      })
    })

    it('receives our client id and secret unescaped, since INDIGO IAM decodes nothing', async () => {
      await ended({})
      const secret = iam.environment.CYGNET_OIDC_CLIENT_SECRET
      expect(away.authorizations.at(-1)).toBe(
        `Basic ${Buffer.from(`cygnet-web:${secret}`).toString('base64')}`,
      )
    })

    it('has the groups that only the IAM’s userinfo endpoint returns', async () => {
      const answer = await ended(
        { sub: 'bob', 'wlcg.groups': undefined },
        { sub: 'bob', groups: ['cygno/shifters'] },
      )
      expect(await me({ cookie: sessionOf(answer) })).toMatchObject({
        scopes: ['read:*', 'link:*', 'recall:*'],
      })
      const mixed = await ended(
        { sub: 'bob', 'wlcg.groups': undefined },
        { sub: 'eve', groups: ['cygno/operators'] },
      )
      expect(mixed.status).toBeGreaterThanOrEqual(400)
    })

    it.each<[string, Readonly<Record<string, unknown>>]>([
      ['another nonce', { nonce: 'other' }],
      ['no nonce', { nonce: undefined }],
      ['another audience', { aud: 'cygnet' }],
      ['another issuer', { iss: 'https://evil.example' }],
      ['an end that is past', { exp: 1 }],
      ['no subject', { sub: undefined }],
    ])('is not signed in by an ID token with %s', async (_, changes) => {
      const answer = await ended(changes)
      expect(answer.status).toBe(400)
      expect(sessionOf(answer)).toBe('')
    })

    it('with rights for hundreds of single tags is refused, not partly signed in', async () => {
      const roles = Array.from({ length: 300 }, (_, index) => `/cygno=reader:TAG${index}`).join(';')
      api = start({ CYGNET_ROLES: roles, CYGNET_OIDC_ISSUER: away.url, CYGNET_OIDC_CLIENT_ID: 'cygnet-web' })
      const { cookie, state, nonce } = await beginSignIn(api)
      away.setSignIn({ nonce })
      const answer = await api.app.request(`/signed-in?code=c&state=${state}`, { headers: { cookie } })
      expect(answer.status).toBe(403)
      expect(await answer.json()).toMatchObject({ detail: expect.stringContaining('more single tags') })
    })

    it('that is unreachable causes a 503 with a retry time', async () => {
      away.setAway(true)
      api = start({ CYGNET_OIDC_ISSUER: away.url, CYGNET_OIDC_CLIENT_ID: 'cygnet-web' })
      expect((await api.app.request('/sign-in')).status).toBe(503)
      away.setAway(false)
      nowMs += 11_000
      const { cookie, state } = await beginSignIn(api)
      const refused = await api.app.request(
        `/signed-in?error=access_denied&error_description=Call+0800+<b>now</b>&state=${state}`,
        {
          headers: { cookie },
        },
      )
      expect(refused.status).toBe(403)
      expect(await refused.text()).toMatch(/did not sign you in \(access_denied\)(?!.*0800)/)
      away.setAway(true)
      expect(
        (await api.app.request(`/signed-in?code=c&state=${state}`, { headers: { cookie } })).status,
      ).toBe(503)
      away.setAway(false)
    })
  })

  describe('that is signed in', () => {
    const FORM = 'application/x-www-form-urlencoded'
    const tokenOf = async (browser: FormBrowser) => (await browser.open(`${SITE}/token`)).text
    const act = async (browser: FormBrowser, headers: Readonly<Record<string, string>>, body?: string) =>
      (
        await api.app.request(`${SITE}/act`, {
          method: 'POST',
          headers: { cookie: `cygnet=${cookieOf(browser)}`, ...headers },
          ...(body && { body }),
        })
      ).status

    it.each<[string, Readonly<Record<string, string>>]>([
      ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
      ['a host of the same domain', { 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:10' }],
      ['a site that says it is this one', { 'sec-fetch-site': 'cross-site', origin: SITE }],
      ['an old browser on another site', { origin: 'https://evil.example' }],
      ['a frame without an origin', { origin: 'null' }],
      ['nobody knows where', {}],
      ['the address bar', { 'sec-fetch-site': 'none' }],
    ])('is not made to change anything by %s', async (_, headers) => {
      const { browser } = await signIn('operator')
      const form = `csrf=${await tokenOf(browser)}`
      expect(await act(browser, { ...headers, 'content-type': FORM }, form)).toBe(403)
      expect(await act(browser, { ...headers, 'content-type': 'application/json' }, '{}')).toBe(403)
      expect(await act(browser, headers)).toBe(403)
    })

    it('changes something by a form of its session, or a script of our page', async () => {
      const [{ browser }, { browser: other }] = [await signIn('operator'), await signIn('operator')]
      const ways: readonly Readonly<Record<string, string>>[] = [
        { 'sec-fetch-site': 'same-origin' },
        { origin: SITE },
      ]
      for (const here of ways) {
        expect(
          await act(browser, { ...here, 'content-type': FORM }, `csrf=${await tokenOf(browser)}&x=1`),
        ).toBe(200)
        expect(await act(browser, { ...here, 'content-type': FORM }, 'x=1')).toBe(403)
        expect(await act(browser, { ...here, 'content-type': FORM }, `csrf=${await tokenOf(other)}`)).toBe(
          403,
        )
        expect(await act(browser, { ...here, 'content-type': 'text/plain' }, 'csrf=x')).toBe(403)
        expect(await act(browser, { ...here, 'content-type': 'application/json' }, '{}')).toBe(200)
      }
    })

    it('signs out here and at the IAM', async () => {
      const { browser, page } = await signIn('shifter')
      const cookie = `cygnet=${cookieOf(browser)}`
      const text = `<form action="/sign-out"><input type="hidden" name="csrf" value="${await tokenOf(browser)}"/>`
      const refused = await api.app.request(`${SITE}/sign-out`, {
        method: 'POST',
        headers: { cookie, origin: 'https://evil.example' },
      })
      expect(refused.status).toBe(403)
      const ask = await browser.submit({ ...page, text })
      expect(ask.url.origin).toBe(iam.issuer)
      expect(browser.cookies.get(SITE)?.has('cygnet')).toBe(false)
      expect(await me({ cookie })).toMatchObject({ kind: 'anonymous' })
      const home = await browser.submit(ask, { logout: 'yes' })
      // Home wants a caller; and the IAM asks again who that is.
      expect(home.text).toContain('name="password"')
    })
  })

  it('leaves no code, token or cookie in the log', () => {
    const text = lines.join('')
    expect(text).toContain('signed-in')
    expect(text).not.toMatch(/code=|eyJ|csrf/)
  })
})

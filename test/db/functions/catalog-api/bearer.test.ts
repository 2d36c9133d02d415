/** Who a request is of, by the token in its header: one of ours, or one of the IAM. */
import { randomBytes } from 'node:crypto'
import { SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createToken, revokeTokens } from '../../../../shared/access/tokens.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { createLogger } from '../../../../shared/log.ts'
import { startTestContext, type TestContext } from '../../../support/context.ts'
import {
  createAccessApi,
  startTestIssuer,
  type TestIssuer,
} from '../../../support/functions/catalog-api/access-fixture.ts'

const DAY_MS = 86_400_000

describe('the token of a request', () => {
  let context: TestContext
  let issuer: TestIssuer
  let nowMs = Date.now()
  const now = () => new Date(nowMs)
  const lines: string[] = []
  const sent: string[] = []
  let api: ReturnType<typeof createAccessApi>

  const start = (more: Readonly<Record<string, string>> = {}) => {
    const config = loadConfig({
      CYGNET_DATABASE_URL: context.catalogue.url,
      CYGNET_OIDC_ISSUER: issuer.url,
      CYGNET_ROLES: '/cygno=reader:LNGS;/cygno/ops=operator:*',
      ...more,
    })
    const log = createLogger({
      function: 'test',
      level: 'debug',
      destination: { write: (line) => lines.push(line) },
    })
    return createAccessApi({ config, database: context.database, log, now })
  }
  const me = async (authorization: string | null, more: Readonly<Record<string, string>> = {}) => {
    if (authorization !== null) sent.push(authorization)
    const answer = await api.app.request('/api/v1/me', {
      headers: { ...(authorization === null ? {} : { authorization }), ...more },
    })
    return {
      status: answer.status,
      headers: answer.headers,
      json: (await answer.json()) as Record<string, unknown>,
    }
  }
  const bearer = async (...args: Parameters<TestIssuer['token']>) =>
    await me(`Bearer ${await issuer.token(...args)}`)

  beforeAll(async () => {
    context = await startTestContext()
    issuer = await startTestIssuer(now)
  })
  beforeEach(() => {
    issuer.setAway(false)
    api = start()
  })
  afterAll(async () => {
    await issuer?.close()
    await context?.close()
  })

  it('of the IAM makes its person a caller, with the rights of the groups', async () => {
    expect(await bearer()).toMatchObject({
      status: 200,
      json: { kind: 'person', name: 'Alice', scopes: ['read:LNGS', 'link:LNGS'] },
    })
    expect(await bearer({ 'wlcg.groups': ['/cygno', '/cygno/ops'] })).toMatchObject({
      json: { scopes: ['read:*', 'link:*', 'recall:*', 'operate:*'] },
    })
    // INDIGO's own profile: another claim, no slash in front.
    expect(await bearer({ 'wlcg.groups': undefined, groups: ['cygno'] })).toMatchObject({
      json: { scopes: ['read:LNGS', 'link:LNGS'] },
    })
    expect(await bearer({ aud: ['other', 'cygnet'] })).toMatchObject({ status: 200 })
    for (const typ of ['at+jwt', 'application/at+jwt', 'JWT'])
      expect(await bearer({}, { typ })).toMatchObject({ status: 200 })
  })

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['no groups', { 'wlcg.groups': undefined }],
    ['other groups', { 'wlcg.groups': ['/cygno-friends', '/CYGNO', '/other/cygno', 'cygno/'] }],
    ['a group below one', { 'wlcg.groups': ['/cygno/students'] }],
    [
      'groups that look like ours',
      { 'wlcg.groups': ['cygno ', ' cygno', '//cygno', '/cygno\0', '/x/../cygno', '\u00a0/cygno'] },
    ],
    ['groups of another shape', { 'wlcg.groups': [{ name: '/cygno' }, 7, null, ['/cygno']] }],
    ['an object of groups', { 'wlcg.groups': { 0: '/cygno' } }],
    ['a nested claim', { 'wlcg.groups': undefined, wlcg: { groups: ['/cygno'] } }],
  ])('with %s belongs to a person without rights', async (_, changes) => {
    expect(await bearer(changes)).toMatchObject({ status: 200, json: { kind: 'person', scopes: [] } })
  })

  it.each<[string, () => Promise<string>, RegExp]>([
    ['that has expired', () => issuer.token({ exp: seconds(-31) }), /expired/],
    ['that is not valid yet', () => issuer.token({ nbf: seconds(31) }), /not valid yet/],
    ['without an end', () => issuer.token({ exp: undefined }), /no valid exp/],
    ['of another issuer', () => issuer.token({ iss: 'https://evil.example' }), /another IAM/],
    ['for another service', () => issuer.token({ aud: 'other' }), /audience is not "cygnet"/],
    ['for no service', () => issuer.token({ aud: undefined }), /audience/],
    ['of nobody', () => issuer.token({ sub: undefined }), /no valid sub/],
    ['of a subject that is no text', () => issuer.token({ sub: 7 }), /no valid sub|names no subject/],
    ['of a subject with a line break', () => issuer.token({ sub: 'a\nb' }), /names no subject/],
    ['of a subject that no database stores', () => issuer.token({ sub: 'a\ufffe' }), /names no subject/],
    ['that is an ID token', () => issuer.token({ nonce: 'n' }), /not an access token/],
    ['that is bound to a key', () => issuer.token({ cnf: { jkt: 'x' } }), /not an access token/],
    ['of another type', () => issuer.token({}, { typ: 'logout+jwt' }), /not an access token/],
    ['of no type at all, in so many words', () => issuer.token({}, { typ: '' }), /not an access token/],
    ['that proves a key', () => issuer.token({}, { typ: 'dpop+jwt' }), /not an access token/],
    ['with an empty nonce', () => issuer.token({ nonce: '' }), /not an access token/],
    ['with the hash of another', () => issuer.token({ at_hash: 'x' }), /not an access token/],
    ['of an issuer with another address', () => issuer.token({ iss: `${issuer.url}/` }), /another IAM/],
    ['of several issuers', () => issuer.token({ iss: [issuer.url] }), /another IAM/],
    ['for none of no services', () => issuer.token({ aud: [] }), /audience/],
    ['for an object', () => issuer.token({ aud: { 0: 'cygnet' } }), /audience/],
    ['with an end in words', () => issuer.token({ exp: '9999999999' }), /no valid exp/],
    ['of a key at an address', () => issuer.token({}, { kid: 'http://169.254.169.254/' }), /not signed/],
    ['of a key that nobody has', () => issuer.token({}, { kid: 'other' }), /not signed/],
    [
      'without a signature',
      async () =>
        new UnsecuredJWT({ sub: 'alice', aud: 'cygnet', iss: issuer.url, exp: seconds(60) }).encode(),
      /unknown/,
    ],
    ['signed with the public key as a secret', signedWithPublicKey, /not signed/],
    ['that was changed', async () => tampered(await issuer.token()), /not signed/],
    [
      'with its signature cut off',
      async () => `${(await issuer.token()).split('.').slice(0, 2).join('.')}.AA`,
      /not signed/,
    ],
    ['that is none', async () => 'abc', /unknown/],
    ['that is overlong', async () => `a.${'b'.repeat(20_000)}.c`, /unknown/],
  ])('%s is refused, in words', async (_, make, detail) => {
    const answer = await me(`Bearer ${await make()}`)
    expect(answer).toMatchObject({
      status: 401,
      json: { status: 401, detail: expect.stringMatching(detail) },
    })
    expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
  })

  it('may differ from our clock by half a minute', async () => {
    expect((await bearer({ exp: seconds(-25) })).status).toBe(200)
    expect((await bearer({ nbf: seconds(25) })).status).toBe(200)
  })

  it.each(['Basic YTpi', 'Bearer', 'Bearer a b', 'token x', 'cyg_abc', 'Bearer x, Bearer y'])(
    '"%s" is not taken for nobody',
    async (header) => {
      expect(await me(header)).toMatchObject({ status: 401 })
    },
  )

  it('is only taken from the header', async () => {
    const token = await issuer.token()
    for (const path of [`/api/v1/me?access_token=${token}`, `/api/v1/me?token=${token}`])
      expect(await (await api.app.request(path)).json()).toMatchObject({ kind: 'anonymous' })
  })

  it('signed with a new key is good as soon as it is asked for, which strangers cannot make us do often', async () => {
    expect((await bearer()).status).toBe(200)
    const old = await issuer.token()
    await issuer.rotate()
    nowMs += 11_000
    const before = issuer.keyRequests()
    expect((await bearer()).status).toBe(200)
    expect(issuer.keyRequests()).toBe(before + 1)
    for (let i = 0; i < 20; i++) expect((await bearer({}, { kid: `made-up-${i}` })).status).toBe(401)
    expect(issuer.keyRequests()).toBe(before + 1)
    // Taken back: good no longer than ten minutes.
    nowMs += 11 * 60_000
    expect((await me(`Bearer ${old}`)).status).toBe(401)
  })

  it('goes on while the IAM is away, with the keys that are known', async () => {
    expect((await bearer()).status).toBe(200)
    issuer.setAway(true)
    for (const minutes of [5, 30, 600]) {
      nowMs += minutes * 60_000
      expect((await bearer()).status).toBe(200)
    }
    expect(await bearer({}, { kid: 'not-known' })).toMatchObject({ status: 503 })
    nowMs += 24 * 3_600_000
    expect(await bearer()).toMatchObject({ status: 503 })
    issuer.setAway(false)
    nowMs += 11_000
    expect((await bearer()).status).toBe(200)
  })

  it('is answered with 503 while the IAM has never answered, and is valid when it does', async () => {
    api = start({ CYGNET_ANONYMOUS_SCOPES: 'read:*' })
    issuer.setAway(true)
    const answer = await bearer()
    expect(answer).toMatchObject({ status: 503, json: { title: 'Service Unavailable' } })
    expect(answer.headers.get('retry-after')).toMatch(/\d/)
    expect(await me(null)).toMatchObject({ status: 200, json: { kind: 'anonymous', scopes: ['read:*'] } })
    issuer.setAway(false)
    nowMs += 11_000
    expect(await bearer()).toMatchObject({
      status: 200,
      json: { scopes: ['read:LNGS', 'link:LNGS', 'read:*'] },
    })
  })

  it('of our own works beside, for as long as it lives', async () => {
    const made = async (name: string, at = now()) =>
      await createToken(context.database, { name, scopes: ['push:LNGS'], days: 1 }, at)
    const good = await made('daq')
    expect(await me(`Bearer ${good.secret}`)).toMatchObject({
      status: 200,
      json: { kind: 'token', name: 'daq', scopes: ['push:LNGS'] },
    })
    const expired = await made('old', new Date(nowMs - 2 * DAY_MS))
    expect(await me(`Bearer ${expired.secret}`)).toMatchObject({
      status: 401,
      json: { detail: expect.stringMatching(/"old" expired on 2/) },
    })
    await revokeTokens(context.database, String(good.id), now())
    expect(await me(`Bearer ${good.secret}`)).toMatchObject({
      status: 401,
      json: { detail: expect.stringMatching(/"daq" was revoked/) },
    })
    const unknown = `cyg_${randomBytes(32).toString('base64url')}`
    expect(await me(`Bearer ${unknown}`)).toMatchObject({
      status: 401,
      json: { detail: 'this API token is unknown' },
    })
  })

  it('is in no log line, good or bad', () => {
    expect(lines.join('')).toContain('request-failed')
    const texts = sent.map((header) => header.replace(/^\S+ */, '')).filter((token) => token.length > 20)
    expect(texts.length).toBeGreaterThan(50)
    for (const token of texts)
      for (const part of token.split('.').filter((piece) => piece.length > 20))
        expect(lines.join('')).not.toContain(part)
  })

  const seconds = (from: number) => Math.floor(nowMs / 1000) + from
  async function signedWithPublicKey(): Promise<string> {
    const secret = new TextEncoder().encode(await issuer.publicKey())
    const claims = { iss: issuer.url, aud: 'cygnet', sub: 'alice', exp: seconds(60) }
    return await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'key-1' }).sign(secret)
  }
  function tampered(token: string): string {
    const [header = '', body = '', signature = ''] = token.split('.')
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object
    return [
      header,
      Buffer.from(JSON.stringify({ ...claims, 'wlcg.groups': ['/cygno/ops'] })).toString('base64url'),
      signature,
    ].join('.')
  }
})

describe('where no IAM is configured', () => {
  it('every token is checked as an API token', async () => {
    const context = await startTestContext()
    try {
      const api = createAccessApi(context)
      const answer = await api.app.request('/api/v1/me', { headers: { authorization: 'Bearer a.b.c' } })
      expect(answer.status).toBe(401)
      expect(await answer.json()).toMatchObject({ detail: 'this API token is unknown' })
      expect((await api.app.request('/sign-in')).status).toBe(404)
    } finally {
      await context.close()
    }
  })
})

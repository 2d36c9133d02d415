/**
 * Who guesses tokens, or ends sign-ins that it did not begin, is soon not listened to; nobody else is kept
 * out by that.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { createToken, revokeTokens } from '../../../../shared/access/tokens.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { startTestContext, type TestContext } from '../../../support/context.ts'
import {
  beginSignIn,
  createAccessApi,
  startTestIssuer,
  type TestIssuer,
} from '../../../support/functions/catalog-api/access-fixture.ts'

const LIMIT = 60
const STRANGER = '192.0.2.66'

let context: TestContext
let issuer: TestIssuer
let nowMs = Date.now()
const now = () => new Date(nowMs)
let api: ReturnType<typeof createAccessApi>

const start = (environment: Readonly<Record<string, string>> = {}) =>
  createAccessApi({
    config: loadConfig({
      CYGNET_DATABASE_URL: context.catalogue.url,
      CYGNET_OIDC_ISSUER: issuer.url,
      CYGNET_OIDC_CLIENT_ID: 'cygnet-web',
      CYGNET_PUBLIC_URL: 'http://127.0.0.1:9/',
      CYGNET_SESSION_SECRET: 'a secret of at least thirty-two characters',
      ...environment,
    }),
    database: context.database,
    log: context.log,
    now,
  })
const ask = async (
  token: string | null,
  from: string | undefined = STRANGER,
  headers: Readonly<Record<string, string>> = {},
) =>
  await api.app.request(
    '/api/v1/me',
    { headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers } },
    { clientAddress: from },
  )
const guess = () => `cyg_${randomBytes(32).toString('base64url')}`
const guesses = async (count: number, from?: string) => {
  const answers = await Promise.all(Array.from({ length: count }, () => ask(guess(), from)))
  return answers.map(({ status }) => status)
}
const good = async () =>
  (await createToken(context.database, { name: 'daq', scopes: ['push:LNGS'], days: 1 }, now())).secret

beforeAll(async () => {
  context = await startTestContext()
  issuer = await startTestIssuer(now)
})
beforeEach(() => {
  api = start()
})
afterAll(async () => {
  await issuer?.close()
  await context?.close()
})

it('a stranger has some tries a minute, also when they all come at once', async () => {
  const statuses = await guesses(LIMIT + 20)
  expect(statuses.filter((status) => status === 401)).toHaveLength(LIMIT)
  expect(statuses.filter((status) => status === 429)).toHaveLength(20)
  const refused = await ask(guess())
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1'])
  expect(refused.headers.get('content-security-policy')).toContain("default-src 'none'")
  nowMs += 10_000
  expect((await guesses(12)).filter((status) => status === 401)).toHaveLength(10)
})

it('tokens of the IAM that are not good count as well, and cost it nothing more', async () => {
  const bad = await issuer.token({ aud: 'other' })
  for (let index = 0; index < LIMIT; index++) expect((await ask(bad)).status).toBe(401)
  expect((await ask(bad)).status).toBe(429)
})

it('a token that was never seen here is not tried from there either: it might be the right guess', async () => {
  await guesses(LIMIT)
  expect((await ask(await good())).status).toBe(429)
})

it('a token is not remembered as valid because of a health check', async () => {
  await guesses(LIMIT)
  const token = guess()
  const answer = await api.app.request(
    '/healthz',
    { headers: { authorization: `Bearer ${token}` } },
    { clientAddress: STRANGER },
  )
  expect(answer.status).toBe(404)
  expect((await ask(token)).status).toBe(429)
})

it('others at the same address are not refused: without a token, with a cookie, or with a token that was valid before', async () => {
  const secret = await good()
  expect((await ask(secret)).status).toBe(200)
  await guesses(LIMIT)
  expect((await ask(secret)).status).toBe(200)
  expect((await ask(null)).status).toBe(200)
  expect((await ask(null, STRANGER, { cookie: 'cygnet=x' })).status).toBe(200)
  // No longer when it is good no more.
  await revokeTokens(context.database, 'daq', now())
  expect([(await ask(secret)).status, (await ask(secret)).status]).toEqual([401, 429])
})

it('other addresses go on, and good tokens use up nothing', async () => {
  await guesses(LIMIT)
  expect((await ask(await good(), '192.0.2.67')).status).toBe(200)
  const from = '192.0.2.68'
  for (let index = 0; index < LIMIT + 5; index++)
    expect((await ask(await issuer.token({ jti: String(index) }), from)).status).toBe(200)
})

it('an address that only the client states is not trusted', async () => {
  for (let index = 0; index < LIMIT; index++)
    await ask(guess(), STRANGER, { 'x-forwarded-for': `203.0.113.${index}` })
  expect((await ask(guess(), STRANGER, { 'x-forwarded-for': '203.0.113.99' })).status).toBe(429)
  api = start({ CYGNET_TRUSTED_PROXIES: '1' })
  for (let index = 0; index < LIMIT; index++)
    await ask(guess(), STRANGER, { 'x-forwarded-for': `198.51.100.${index}, 203.0.113.1` })
  expect((await ask(guess(), STRANGER, { 'x-forwarded-for': '203.0.113.1' })).status).toBe(429)
  expect((await ask(guess(), STRANGER, { 'x-forwarded-for': '203.0.113.2' })).status).toBe(401)
})

it('an unreachable IAM does not count as a failed sign-in', async () => {
  issuer.setAway(true)
  for (let index = 0; index < LIMIT + 5; index++) expect((await ask('a.b.c')).status).toBe(503)
  issuer.setAway(false)
})

it('answers to sign-ins that were not begun here count as failures, and after the limit the IAM is not asked about them', async () => {
  const end = async () => {
    const { cookie, state } = await beginSignIn(api, STRANGER)
    return (
      await api.app.request(
        `/signed-in?code=made-up&state=${state}`,
        { headers: { cookie } },
        { clientAddress: STRANGER },
      )
    ).status
  }
  issuer.setSignIn({ nonce: 'of another' })
  const before = issuer.authorizations.length
  for (let index = 0; index < LIMIT; index++) expect(await end()).toBe(400)
  expect(await end()).toBe(429)
  expect(issuer.authorizations.length).toBe(before + LIMIT)
})

it('nothing is limited where the host provides no address: one client would lock out all', async () => {
  for (let index = 0; index < LIMIT + 5; index++)
    expect((await api.app.request('/api/v1/me', bad())).status).toBe(401)
})
const bad = () => ({ headers: { authorization: `Bearer ${guess()}` } })

/**
 * Personal tokens: made by a person with at most the own rights, and good only as long as the IAM confirms these.
 * Whoever leaves a group has nothing left of it after an hour, whatever they hold.
 */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { addPage } from '../../../../functions/catalog-api/http/route.ts'
import { listUses } from '../../../../shared/access/audit.ts'
import { beginRenewal } from '../../../../shared/access/people.ts'
import { listTokensOf, revokeTokens } from '../../../../shared/access/tokens.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { createLogger } from '../../../../shared/log.ts'
import { beginCall } from '../../../never-lost/call.ts'
import { databaseOf } from '../../../never-lost/database.ts'
import { startTestContext, type TestContext } from '../../../support/context.ts'
import {
  createAccessApi,
  startTestIssuer,
  type TestIssuer,
} from '../../../support/functions/catalog-api/access-fixture.ts'

const SITE = 'http://127.0.0.1:9'
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const SHIFTER = ['/cygno', '/shifters']

let context: TestContext
let issuer: TestIssuer
let api: ReturnType<typeof start>
let nowMs = Date.now()
const now = () => new Date(nowMs)
const lines: string[] = []
/** Of one test each. */
let sub = ''
let people = 0

const start = (database = context.database) => {
  const config = loadConfig({
    CYGNET_DATABASE_URL: context.catalogue.url,
    CYGNET_OIDC_ISSUER: issuer.url,
    CYGNET_OIDC_CLIENT_ID: 'cygnet-web',
    CYGNET_PUBLIC_URL: `${SITE}/`,
    CYGNET_SESSION_SECRET: 'a secret of at least thirty-two characters',
    CYGNET_ROLES: '/cygno=reader:*;/shifters=shifter:LNGS;/ops=operator:*',
  })
  const destination = { write: (line: string) => lines.push(line) }
  const log = createLogger({ function: 'test', level: 'debug', destination })
  return createAccessApi({ config, database, log, now }, (added) => {
    addPage(added, 'POST', '/recall', { right: 'recall', tagOf: () => 'LNGS' }, (c) => c.text('yes'))
    for (const path of ['/recall', '/queues'])
      addPage(added, 'GET', path, { right: path === '/queues' ? 'operate' : 'recall', anyTag: true }, (c) =>
        c.text(c.get('caller').name),
      )
  })
}

beforeAll(async () => {
  context = await startTestContext()
  issuer = await startTestIssuer(now)
})
beforeEach(() => {
  nowMs += 2 * HOUR_MS
  people += 1
  sub = `ada-${people}`
  issuer.setAway(false)
  issuer.setRefreshToken(null)
  api = start()
})
afterAll(async () => {
  await issuer?.close()
  await context?.close()
})

/** Signs in with a browser. @returns its cookie, and the address to which the IAM was asked to go. */
async function signIn(groups: readonly string[], { lasting = false } = {}) {
  const begun = await api.app.request(`/sign-in${lasting ? '?lasting=yes&to=/tokens' : ''}`)
  const asked = new URL(begun.headers.get('location') ?? '').searchParams
  const attempt = (begun.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
  stateGroups(groups, asked.get('nonce'))
  const ended = await api.app.request(`/signed-in?code=c&state=${asked.get('state')}`, {
    headers: { cookie: attempt },
  })
  expect(ended.status).toBe(302)
  const cookie = /(cygnet=[^;]+)/.exec(ended.headers.getSetCookie().join('\n'))?.[1] ?? ''
  return { cookie, asked }
}
/** What the IAM states from now on. */
const stateGroups = (groups: readonly string[], nonce: string | null = null) =>
  issuer.setSignIn({ sub, name: 'Ada', nonce, 'wlcg.groups': groups })

const request = async (method: string, path: string, by: Readonly<Record<string, string>>, body?: object) => {
  const headers = { ...by, origin: SITE, 'content-type': 'application/json' }
  const answer = await api.app.request(path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, text, json: text.startsWith('{') ? JSON.parse(text) : null }
}
const make = (by: Readonly<Record<string, string>>, more: object = {}) =>
  request('POST', '/api/v1/me/tokens', by, {
    name: 'notebook',
    scopes: ['read:LNGS', 'recall:LNGS'],
    ...more,
  })
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const recall = async (token: string) => (await request('POST', '/recall', bearer(token))).status
const scopesOf = async (by: Readonly<Record<string, string>>) =>
  (await request('GET', '/api/v1/me', by)).json.scopes

describe('a personal token', () => {
  it('is made by a person in the browser or with `cygnet login`, is listed without its secret, and revoked', async () => {
    const { cookie } = await signIn(SHIFTER)
    const iam = bearer(await issuer.token({ sub, name: 'Ada', 'wlcg.groups': SHIFTER }))
    for (const by of [{ cookie }, iam]) {
      const { status, json } = await make(by, { days: 7 })
      expect(status).toBe(201)
      expect(json).toEqual({
        id: expect.any(Number),
        token: expect.stringMatching(/^cyg_/),
        expiresAt: new Date(nowMs + 7 * 24 * HOUR_MS).toISOString(),
        lasting: false,
      })
      const me = await request('GET', '/api/v1/me', bearer(json.token))
      expect(me.json).toEqual({ kind: 'token', name: 'Ada', scopes: ['read:LNGS', 'recall:LNGS'] })
      const listed = await request('GET', '/api/v1/me/tokens', by)
      expect(listed.text).not.toContain(json.token.slice(4))
      expect(listed.json.tokens[0]).toMatchObject({
        id: json.id,
        name: 'notebook',
        scopes: ['read:LNGS', 'recall:LNGS'],
        state: 'valid',
        lastUsedAt: now().toISOString(),
      })
      expect((await request('DELETE', `/api/v1/me/tokens/${json.id}`, by)).status).toBe(204)
      expect((await request('GET', '/api/v1/me', bearer(json.token))).status).toBe(401)
      expect((await request('DELETE', `/api/v1/me/tokens/${json.id}`, by)).status).toBe(404)
    }
    const uses = await listUses(context.database, { subject: `person:${sub}`, limit: 10 })
    expect(uses.toReversed().map(({ action, name, outcome }) => [action, name, outcome])).toEqual([
      ['token', 'Ada', expect.stringMatching(/^token \d+$/)],
      ['token', 'Ada', 'done'],
      ['token', 'Ada', expect.stringMatching(/^refused: you have no token/)],
      ['token', 'Ada', expect.stringMatching(/^token \d+$/)],
      ['token', 'Ada', 'done'],
      ['token', 'Ada', expect.stringMatching(/^refused: you have no token/)],
    ])
  })

  it.each<[string, object, RegExp]>([
    ['a right that its person does not have', { scopes: ['operate:LNGS'] }, /do not have the right operate/],
    ['a right for another tag', { scopes: ['recall:LNF'] }, /do not have the right recall:LNF/],
    ['a right for all tags that its person has for one', { scopes: ['recall:*'] }, /do not have the right/],
    ['the right of machines to send files', { scopes: ['push:LNGS'] }, /do not have the right push/],
    ['something that is not a right', { scopes: ['everything'] }, /is not a scope/],
    ['no right', { scopes: [] }, /scopes/],
    ['more than 90 days', { days: 91 }, /days/],
    ['less than a day', { days: 0 }, /days/],
    ['a name that is none', { name: 'a b' }, /cannot be the name/],
    ['the name of nobody', { subject: 'person:bob' }, /subject/i],
  ])('is not made with %s', async (_, wanted, reason) => {
    const { cookie } = await signIn(SHIFTER)
    const { status, text } = await make({ cookie }, wanted)
    expect([status, reason.test(text)], text).toEqual([400, true])
    expect((await request('GET', '/api/v1/me/tokens', { cookie })).json.tokens).toEqual([])
  })

  it('makes, lists and revokes no tokens: a stolen one cannot outlive itself', async () => {
    const { cookie } = await signIn(SHIFTER)
    const { json } = await make({ cookie })
    const by = bearer(json.token)
    for (const answer of [
      await make(by),
      await request('GET', '/api/v1/me/tokens', by),
      await request('DELETE', `/api/v1/me/tokens/${json.id}`, by),
    ])
      expect(answer).toMatchObject({ status: 403, json: { detail: expect.stringContaining('sign in') } })
    expect((await make({})).status).toBe(401)
  })

  it('is not made or revoked by another site, nor revoked by another person', async () => {
    const { cookie } = await signIn(SHIFTER)
    const { json } = await make({ cookie })
    for (const origin of ['https://evil.example', 'null']) {
      const headers = { cookie, origin, 'content-type': 'application/json' }
      const body = JSON.stringify({ name: 'x', scopes: ['read:LNGS'] })
      const made = await api.app.request('/api/v1/me/tokens', { method: 'POST', headers, body })
      expect(made.status).toBe(403)
      const ended = await api.app.request(`/api/v1/me/tokens/${json.id}`, { method: 'DELETE', headers })
      expect(ended.status).toBe(403)
    }
    sub = `eve-${people}`
    const { cookie: other } = await signIn(['/ops'])
    expect((await request('DELETE', `/api/v1/me/tokens/${json.id}`, { cookie: other })).status).toBe(404)
    expect(await recall(json.token)).toBe(200)
  })

  it('is one of twenty at most', async () => {
    const { cookie } = await signIn(SHIFTER)
    for (let count = 0; count < 20; count++) expect((await make({ cookie })).status).toBe(201)
    expect(await make({ cookie })).toMatchObject({ status: 400, text: expect.stringContaining('revoke one') })
  })

  it('ends with all sessions of its person, when an operator ends them', async () => {
    issuer.setRefreshToken('first')
    const { cookie } = await signIn(SHIFTER, { lasting: true })
    const { json } = await make({ cookie })
    const operator = bearer(await issuer.token({ sub: 'root', 'wlcg.groups': ['/ops'] }))
    const ended = await request('DELETE', `/api/v1/sessions?subject=person:${sub}`, operator)
    expect(ended.status).toBe(204)
    expect(await recall(json.token)).toBe(401)
    const kept = await sql<{ lastingSignIn: unknown }>`
      SELECT lasting_sign_in FROM people WHERE subject = ${`person:${sub}`}`.execute(context.database)
    expect(kept.rows).toEqual([{ lastingSignIn: null }])
  })
})

describe('whoever leaves a group', () => {
  it('has no more of it after an hour by a personal token, with a lasting sign-in', async () => {
    issuer.setRefreshToken('first')
    const { cookie, asked } = await signIn(SHIFTER, { lasting: true })
    expect(asked.get('scope')).toContain('offline_access')
    expect(asked.get('prompt')).toBe('consent')
    const { json } = await make({ cookie })
    expect(json.lasting).toBe(true)
    // Weeks of use, without the person.
    for (let hours = 0; hours < 5; hours++) {
      nowMs += 3 * HOUR_MS
      expect(await recall(json.token)).toBe(200)
    }
    stateGroups(['/cygno'])
    nowMs += HOUR_MS
    expect(await recall(json.token)).toBe(403)
    expect(await scopesOf(bearer(json.token))).toEqual(['read:LNGS'])
    stateGroups([])
    nowMs += HOUR_MS
    expect(await recall(json.token)).toBe(401)
    // Back in the group, as in the IAM.
    stateGroups(SHIFTER)
    nowMs += HOUR_MS
    expect(await recall(json.token)).toBe(200)
  })

  it('has no more of it after an hour by a personal token, without a lasting sign-in', async () => {
    const { cookie } = await signIn(SHIFTER)
    const { json } = await make({ cookie })
    nowMs += HOUR_MS - MINUTE_MS
    expect(await recall(json.token)).toBe(200)
    nowMs += MINUTE_MS
    expect(await request('POST', '/recall', bearer(json.token))).toMatchObject({
      status: 401,
      text: expect.stringContaining('Sign in again'),
    })
    // Signing in again wakes it: with what the groups give then.
    await signIn(['/cygno'])
    expect(await scopesOf(bearer(json.token))).toEqual(['read:LNGS'])
    const iam = bearer(await issuer.token({ sub, name: 'Ada', 'wlcg.groups': SHIFTER }))
    nowMs += MINUTE_MS
    await request('GET', '/api/v1/me/tokens', iam)
    expect(await scopesOf(bearer(json.token))).toEqual(['read:LNGS'])
    await request(
      'GET',
      '/api/v1/me/tokens',
      bearer(await issuer.token({ sub, name: 'Ada', 'wlcg.groups': SHIFTER })),
    )
    expect(await recall(json.token)).toBe(200)
  })

  it('has no more of it after an hour by a session, which then still reads, and signs in again for more', async () => {
    const { cookie } = await signIn([...SHIFTER, '/ops'])
    expect((await request('POST', '/recall', { cookie })).status).toBe(200)
    nowMs += HOUR_MS
    expect(await request('POST', '/recall', { cookie })).toMatchObject({
      status: 401,
      text: expect.stringContaining('more than an hour ago'),
    })
    expect(await make({ cookie })).toMatchObject({ status: 401 })
    expect(await scopesOf({ cookie })).toEqual(['read:*'])
    const page = await api.app.request('/queues', { headers: { cookie, accept: 'text/html' } })
    expect([page.status, page.headers.get('location')]).toEqual([302, '/sign-in?to=%2Fqueues'])
  })

  it('has what the IAM confirmed since, by a session of before', async () => {
    issuer.setRefreshToken('first')
    const { cookie } = await signIn(SHIFTER, { lasting: true })
    nowMs += 2 * HOUR_MS
    expect((await request('POST', '/recall', { cookie })).status).toBe(200)
    stateGroups(['/cygno'])
    nowMs += HOUR_MS
    expect((await request('POST', '/recall', { cookie })).status).toBe(403)
    expect(await scopesOf({ cookie })).toEqual(['read:*', 'link:*'])
  })

  it('has no more of it after an hour by a token of the IAM, however long the IAM makes it last', async () => {
    const day = { exp: Math.floor(nowMs / 1000) + 86_400, sub, 'wlcg.groups': SHIFTER }
    const token = await issuer.token(day)
    expect(await recall(token)).toBe(200)
    nowMs += HOUR_MS + MINUTE_MS
    expect(await request('POST', '/recall', bearer(token))).toMatchObject({
      status: 401,
      text: expect.stringContaining('issued more than an hour ago'),
    })
    expect(await recall(await issuer.token({ ...day, iat: undefined }))).toBe(401)
  })
})

describe('a lasting sign-in', () => {
  const lastingToken = async () => {
    issuer.setRefreshToken('secret-of-the-iam')
    const { cookie } = await signIn(SHIFTER, { lasting: true })
    return { cookie, ...(await make({ cookie })).json } as { cookie: string; id: number; token: string }
  }
  const stored = async () =>
    (
      await sql<{ lastingSignIn: string | null }>`
        SELECT lasting_sign_in FROM people WHERE subject = ${`person:${sub}`}`.execute(context.database)
    ).rows[0]?.lastingSignIn

  it('is stored sealed, only when asked for, and forgotten with the last token', async () => {
    issuer.setRefreshToken('secret-of-the-iam')
    await make({ cookie: (await signIn(SHIFTER)).cookie })
    expect(await stored()).toBeNull()
    sub += '-lasting'
    const { cookie, id } = await lastingToken()
    expect(await stored()).toMatch(/^eyJ/)
    expect(await stored()).not.toContain('secret')
    await request('DELETE', `/api/v1/me/tokens/${id}`, { cookie })
    expect(await stored()).toBeNull()
    // Also when an operator revokes it, and not while there is another one.
    const { id: another } = await lastingToken()
    const { json } = await make({ cookie: (await signIn(SHIFTER)).cookie })
    await revokeTokens(context.database, String(another), now())
    expect(await stored()).toMatch(/^eyJ/)
    await revokeTokens(context.database, String(json.id), now())
    expect(await stored()).toBeNull()
  })

  it('asks the IAM once in half an hour, however many requests and processes need it', async () => {
    const { token } = await lastingToken()
    const before = issuer.refreshes()
    nowMs += 40 * MINUTE_MS
    const [one, other] = [api, start()]
    for (const each of [one, other, one, other]) {
      const answers = await Promise.all(
        Array.from({ length: 5 }, () =>
          each.app.request('/recall', { method: 'POST', headers: bearer(token) }),
        ),
      )
      expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(200))
    }
    expect(issuer.refreshes()).toBe(before + 1)
  })

  it('survives an IAM that is away for less than half an hour; after an hour the answer is 503, then the token is good again', async () => {
    const { token } = await lastingToken()
    issuer.setAway(true)
    nowMs += 59 * MINUTE_MS
    expect(await recall(token)).toBe(200)
    nowMs += 2 * MINUTE_MS
    expect(await recall(token)).toBe(503)
    issuer.setAway(false)
    nowMs += MINUTE_MS
    expect(await recall(token)).toBe(200)
  })

  it('that the IAM ended lets tokens sleep until the person signs in', async () => {
    const { token } = await lastingToken()
    issuer.setRefreshToken(null)
    nowMs += 40 * MINUTE_MS
    expect(await recall(token)).toBe(200)
    expect(await stored()).toBeNull()
    nowMs += 30 * MINUTE_MS
    expect(await recall(token)).toBe(401)
    await signIn(SHIFTER)
    expect(await recall(token)).toBe(200)
  })

  it('of another person confirms nobody', async () => {
    const { token } = await lastingToken()
    const own = sub
    sub = `eve-${people}`
    stateGroups(['/ops'])
    sub = own
    nowMs += 2 * HOUR_MS
    expect(await recall(token)).toBe(401)
  })

  it('goes on after a process died while it asked', async () => {
    const { token } = await lastingToken()
    nowMs += 61 * MINUTE_MS
    await beginRenewal(context.database, `person:${sub}`, now(), new Date(nowMs + 30_000))
    expect(await recall(token)).toBe(503)
    nowMs += 31_000
    expect(await recall(token)).toBe(200)
  })

  it('leaves no secret in the log', async () => {
    const { token } = await lastingToken()
    await recall(token)
    expect(lines.join('')).toContain('right-used')
    expect(lines.join('')).not.toMatch(/secret-of-the-iam|cyg_[A-Za-z0-9_-]{10}/)
  })
})

describe('a process of the API that dies at any of its requests to the database', () => {
  const stored = async () =>
    (
      await sql<{ lastingSignIn: string | null }>`
        SELECT lasting_sign_in FROM people WHERE subject = ${`person:${sub}`}`.execute(context.database)
    ).rows[0]?.lastingSignIn
  const uses = async () =>
    (await listUses(context.database, { subject: `person:${sub}`, limit: 1000 })).map(({ object }) => object)
  const tokens = async () => await listTokensOf(context.database, `person:${sub}`)

  /**
   * Sends the same request to one process after the other, each of which dies one request to the database later,
   * before or after it was carried out; `check` after each death.
   */
  async function dieEverywhere(
    begin: (
      point: number,
    ) => Promise<{ readonly act: () => Promise<unknown>; readonly check: () => Promise<void> }>,
  ) {
    for (const done of [false, true])
      for (let point = 0; ; point++) {
        nowMs += 2 * HOUR_MS
        sub = `ada-${people}-${done}-${point}`
        api = start()
        const { act, check } = await begin(point)
        let hasDied = false
        const onAccident = () => {
          hasDied = true
        }
        const accident = { kind: 'dies', place: 'database', at: point, done } as const
        const call = beginCall({ name: 'api', begunAt: nowMs, accident, pace: [], onAccident })
        api = start(databaseOf(context.database, () => nowMs, call))
        await act()
        api = start()
        await check()
        if (!hasDied) {
          expect(point).toBeGreaterThan(3)
          break
        }
      }
  }

  it('makes no token without a record of who made it, and another one can be made', async () => {
    await dieEverywhere(async () => {
      const { cookie } = await signIn(SHIFTER)
      return {
        act: () => make({ cookie }),
        async check() {
          expect((await uses()).length).toBeGreaterThanOrEqual((await tokens()).length)
          const { status, json } = await make({ cookie })
          expect([status, await recall(json.token)]).toEqual([201, 200])
          // What the dead one made is seen, and can be revoked.
          for (const { id } of await tokens())
            expect((await request('DELETE', `/api/v1/me/tokens/${id}`, { cookie })).status).toBe(204)
        },
      }
    })
  })

  it('revokes a token with a record, and leaves no sign-in behind that no token needs', async () => {
    await dieEverywhere(async () => {
      issuer.setRefreshToken('first')
      const { cookie } = await signIn(SHIFTER, { lasting: true })
      const { json } = await make({ cookie })
      return {
        act: () => request('DELETE', `/api/v1/me/tokens/${json.id}`, { cookie }),
        async check() {
          const [token] = await tokens()
          if (token?.revokedAt === null) expect(await recall(json.token)).toBe(200)
          else expect(await uses()).toContain(`personal token ${json.id} revoked`)
          const again = await request('DELETE', `/api/v1/me/tokens/${json.id}`, { cookie })
          expect([204, 404]).toContain(again.status)
          expect([await recall(json.token), await stored()]).toEqual([401, null])
        },
      }
    })
  })

  it('grants no more than the IAM confirmed, and what it confirms after the next sign-in at the latest', async () => {
    await dieEverywhere(async () => {
      issuer.setRefreshToken('first')
      const { cookie } = await signIn([...SHIFTER, '/ops'], { lasting: true })
      const { json } = await make({ cookie }, { scopes: ['recall:LNGS', 'operate:LNGS'] })
      nowMs += HOUR_MS
      stateGroups(SHIFTER)
      return {
        act: () => recall(json.token),
        async check() {
          nowMs += 31_000
          // An IAM that renews its refresh tokens ends a sign-in whose new one was lost.
          expect([200, 401]).toContain(await recall(json.token))
          expect((await request('GET', '/queues', bearer(json.token))).status).not.toBe(200)
          await signIn(SHIFTER)
          expect(await recall(json.token)).toBe(200)
          expect((await request('GET', '/queues', bearer(json.token))).status).toBe(403)
        },
      }
    })
  })
})

/** Sessions of browsers end when they are ended: a cookie that somebody copied is worth nothing then. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { addPage } from '../../../../functions/catalog-api/http/route.ts'
import { csrfTokenOf } from '../../../../functions/catalog-api/pages/options.ts'
import { endSession, endSessionsOf, isEnded } from '../../../../shared/access/ended-sessions.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { openDatabase } from '../../../../shared/database/connect.ts'
import { createLogger } from '../../../../shared/log.ts'
import { startTestContext, type TestContext } from '../../../support/context.ts'
import {
  beginSignIn,
  createAccessApi,
  startTestIssuer,
  type TestIssuer,
} from '../../../support/functions/catalog-api/access-fixture.ts'

const SITE = 'http://127.0.0.1:9'
const HOUR_MS = 3_600_000

describe('a session', () => {
  let context: TestContext
  let issuer: TestIssuer
  let api: ReturnType<typeof start>
  let nowMs = Date.now()
  const lines: string[] = []
  const now = () => new Date(nowMs)

  const start = (database = context.database) => {
    const config = loadConfig({
      CYGNET_DATABASE_URL: context.catalogue.url,
      CYGNET_OIDC_ISSUER: issuer.url,
      CYGNET_OIDC_CLIENT_ID: 'cygnet-web',
      CYGNET_PUBLIC_URL: `${SITE}/`,
      CYGNET_SESSION_SECRET: 'a secret of at least thirty-two characters',
      CYGNET_ROLES: '/cygno=reader:LNGS;/ops=operator:*;/lngs-ops=operator:LNGS',
      CYGNET_ANONYMOUS_SCOPES: 'read:LNF',
    })
    const log = createLogger({
      function: 'test',
      level: 'info',
      destination: { write: (line) => lines.push(line) },
    })
    return createAccessApi({ config, database, log, now }, (added, identity) => {
      addPage(added, 'GET', '/csrf', { open: true }, (c) => c.text(csrfTokenOf(c, identity) ?? ''))
    })
  }
  const signIn = async (sub: string, groups: readonly string[] = ['/cygno'], before = '') => {
    const begun = await beginSignIn(api)
    issuer.setSignIn({ sub, nonce: begun.nonce, 'wlcg.groups': groups })
    const cookie = [begun.cookie, before].filter(Boolean).join('; ')
    const answer = await api.app.request(`/signed-in?code=c&state=${begun.state}`, { headers: { cookie } })
    expect(answer.status).toBe(302)
    return /(cygnet=[^;]+)/.exec(answer.headers.getSetCookie().join('\n'))?.[1] ?? ''
  }
  const kindOf = async (cookie: string) =>
    (
      (await (await api.app.request('/api/v1/me', { headers: { cookie } })).json()) as {
        readonly kind: string
      }
    ).kind
  const signOut = async (cookie: string) => {
    const csrf = await (await api.app.request('/csrf', { headers: { cookie } })).text()
    const headers = { cookie, origin: SITE, 'content-type': 'application/x-www-form-urlencoded' }
    return await api.app.request('/sign-out', { method: 'POST', headers, body: `csrf=${csrf}` })
  }
  const endAll = async (subject: string, headers: Readonly<Record<string, string>>) =>
    await api.app.request(`/api/v1/sessions?subject=${encodeURIComponent(subject)}`, {
      method: 'DELETE',
      headers,
    })

  beforeAll(async () => {
    context = await startTestContext()
    issuer = await startTestIssuer(now)
  })
  beforeEach(() => {
    nowMs += 60_000
    api = start()
  })
  afterAll(async () => {
    await issuer?.close()
    await context?.close()
  })

  it('ends when its person signs out, also for copies of the cookie', async () => {
    const cookie = await signIn('alice')
    expect(await kindOf(cookie)).toBe('person')
    const answer = await signOut(cookie)
    expect(answer.status).toBe(303)
    expect(answer.headers.get('set-cookie')).toMatch(/^cygnet=; Max-Age=0/)
    expect(await kindOf(cookie)).toBe('anonymous')
    // In another process too.
    api = start()
    expect(await kindOf(cookie)).toBe('anonymous')
  })

  it('is over also when it was ended by a clock that is behind', async () => {
    const cookie = await signIn('alice')
    nowMs -= 30_000
    await signOut(cookie)
    nowMs += 30_000
    expect(await kindOf(cookie)).toBe('anonymous')
  })

  it('goes on when another one of the same person ends', async () => {
    const [desk, phone] = [await signIn('alice'), await signIn('alice')]
    await signOut(desk)
    expect([await kindOf(desk), await kindOf(phone)]).toEqual(['anonymous', 'person'])
  })

  it('ends when the same browser signs in again, since no one could sign out of it later', async () => {
    const first = await signIn('alice')
    const second = await signIn('alice', ['/cygno'], first)
    expect([await kindOf(first), await kindOf(second)]).toEqual(['anonymous', 'person'])
  })

  it('ends, like all of its person, when an operator ends them; the person may sign in again', async () => {
    const operator = await signIn('olga', ['/ops'])
    const theirs = [await signIn('eve/1'), await signIn('eve/1')]
    const others = await signIn('eve')
    nowMs += 1000
    expect((await endAll('person:eve/1', { cookie: operator, origin: SITE })).status).toBe(204)
    for (const cookie of theirs) expect(await kindOf(cookie)).toBe('anonymous')
    expect([await kindOf(others), await kindOf(operator)]).toEqual(['person', 'person'])
    nowMs += 1000
    expect(await kindOf(await signIn('eve/1'))).toBe('person')
    for (const cookie of theirs) expect(await kindOf(cookie)).toBe('anonymous')
    expect(lines.join('')).toContain('"subject":"person:eve/1","by":"person:olga","event":"sessions-ended"')
  })

  it('of another person is ended by operators of everything alone, and by no other site', async () => {
    const alice = await signIn('alice')
    const operator = await signIn('olga', ['/ops'])
    const { secret } = await createToken(
      context.database,
      { name: 'x', scopes: ['operate:LNGS', 'read:*'], days: 1 },
      now(),
    )
    nowMs += 1000
    const refused: readonly Readonly<Record<string, string>>[] = [
      { cookie: await signIn('rita', ['/lngs-ops']), origin: SITE },
      { cookie: operator, origin: 'https://evil.example' },
      { cookie: operator },
      { authorization: `Bearer ${secret}` },
    ]
    for (const headers of refused) expect((await endAll('person:alice', headers)).status).toBe(403)
    expect((await endAll('person:alice', {})).status).toBe(401)
    for (const subject of ['', 'alice', 'person:', 'person:a\nb', `person:${'x'.repeat(256)}`, 'session:x'])
      expect((await endAll(subject, { cookie: operator, origin: SITE })).status).toBe(400)
    expect(await kindOf(alice)).toBe('person')
  })

  it('is not accepted unchecked: while the catalogue does not answer, a request with a cookie gets a 503', async () => {
    const cookie = await signIn('alice')
    const csrf = await (await api.app.request('/csrf', { headers: { cookie } })).text()
    const away = openDatabase('mysql://u:p@127.0.0.1:1/x', 1)
    api = start(away)
    const headers = { cookie, origin: SITE, 'content-type': 'application/x-www-form-urlencoded' }
    for (const answer of [
      await api.app.request('/api/v1/me', { headers: { cookie } }),
      await api.app.request('/sign-out', { method: 'POST', headers, body: `csrf=${csrf}` }),
    ]) {
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
      expect(await answer.json()).toMatchObject({
        detail: 'your session cannot be checked now; try again',
      })
      expect(answer.headers.has('set-cookie')).toBe(false)
    }
    expect(await kindOf('')).toBe('anonymous')
    expect(lines.join('')).toContain('session-not-checked')
    await away.destroy()
  })

  it('that was ended is remembered for as long as its cookie would be good, and not much longer', async () => {
    const { database } = context
    const rows = async () =>
      (
        await database
          .withTables<{ endedSessions: { name: string } }>()
          .selectFrom('endedSessions')
          .select('name')
          .execute()
      ).map(({ name }) => name)
    const until = new Date(nowMs + 8 * HOUR_MS)
    await endSession(database, 'old', now(), until)
    nowMs += 8 * HOUR_MS
    await endSessionsOf(database, 'person:somebody', now(), new Date(nowMs + 8 * HOUR_MS))
    expect(await rows()).toContain('session:old')
    nowMs += 2 * HOUR_MS
    // Ended again by a clock that is behind: that takes nothing back.
    await endSessionsOf(database, 'person:somebody', new Date(nowMs - 5 * HOUR_MS), new Date(nowMs - HOUR_MS))
    expect(
      await isEnded(database, {
        id: 'x',
        subject: 'person:somebody',
        begunAt: new Date(nowMs - 2 * HOUR_MS),
      }),
    ).toBe(true)
    expect(await isEnded(database, { id: 'x', subject: 'person:somebody', begunAt: now() })).toBe(false)
    await endSession(database, 'new', now(), new Date(nowMs + HOUR_MS))
    expect(await rows()).not.toContain('session:old')
    expect(await rows()).toEqual(expect.arrayContaining(['session:new', 'person:somebody']))
  })
})

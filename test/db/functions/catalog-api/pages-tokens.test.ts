/** The pages Tokens and Audit: a person makes, uses and revokes tokens; operators see everybody's. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createApi } from '../../../../functions/catalog-api/app.ts'
import type { Api } from '../../../../functions/catalog-api/http/route.ts'
import { createToken, listTokens } from '../../../../shared/access/tokens.ts'
import { createFormBrowser, type FormBrowser, type Page } from '../../../support/form-browser.ts'
import { startTestIssuer, type TestIssuer } from '../../../support/functions/catalog-api/access-fixture.ts'
import { makeRun } from '../../../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const SITE = 'http://127.0.0.1:9'
const HOSTILE = '<script>alert(1)</script>'
const HOUR_MS = 3_600_000

let context: TestTapeContext
let issuer: TestIssuer
let api: Api
let nowMs = Date.now()

beforeAll(async () => {
  issuer = await startTestIssuer(() => new Date(nowMs))
  context = await startTestTapeContext({
    environment: {
      CYGNET_OIDC_ISSUER: issuer.url,
      CYGNET_OIDC_CLIENT_ID: 'cygnet-web',
      CYGNET_PUBLIC_URL: `${SITE}/`,
      CYGNET_SESSION_SECRET: 'a secret of at least thirty-two characters',
      CYGNET_ROLES: '/cygno=reader:*;/shifters=shifter:LNGS;/ops=operator:*;/new=reader:NEW',
      CYGNET_REQUESTS_PER_MINUTE: '0',
    },
  })
  api = createApi({ ...context, now: () => new Date(nowMs) })
})
beforeEach(() => {
  nowMs += 2 * HOUR_MS
})
afterAll(async () => {
  await issuer?.close()
  await context?.close()
})

/** A browser in which this person is signed in. */
async function signedIn(sub: string, name: string, groups: readonly string[]): Promise<FormBrowser> {
  const browser = createFormBrowser({
    fetchOf: async (request) => await api.app.fetch(request),
    follow: (url) => url.origin === SITE,
  })
  const asked = await browser.open(`${SITE}/sign-in`)
  const { searchParams } = asked.url
  issuer.setSignIn({ sub, name, nonce: searchParams.get('nonce'), 'wlcg.groups': groups })
  await browser.open(`${SITE}/signed-in?code=c&state=${searchParams.get('state')}`)
  return browser
}
/** The page from the form with this action on. */
const formAt = (page: Page, action: string): Page => {
  const at = page.text.indexOf(`action="${action}"`)
  expect(at, page.text).toBeGreaterThan(0)
  return { ...page, text: page.text.slice(page.text.lastIndexOf('<form', at)) }
}
const make = async (browser: FormBrowser, fields: Readonly<Record<string, string>>) =>
  await browser.submit(formAt(await browser.open(`${SITE}/tokens`), '/tokens'), {
    days: '30',
    tag: '',
    ...fields,
  })
const secretIn = (page: Page) => /cyg_[A-Za-z0-9_-]{43}/.exec(page.text)?.[0] ?? ''
const me = async (secret: string) => {
  const answer = await api.app.request('/api/v1/me', { headers: { authorization: `Bearer ${secret}` } })
  return { status: answer.status, ...((await answer.json()) as { readonly scopes?: readonly string[] }) }
}

test('a person makes a token that is shown once with the lines for curl and Python, uses it, and revokes it', async () => {
  const ada = await signedIn('ada', 'Ada', ['/cygno', '/shifters'])
  const empty = await ada.open(`${SITE}/tokens`)
  expect(empty.text).toContain('You have no tokens.')
  expect(empty.text).toContain('value="recall:LNGS">')
  expect(empty.text).toContain('value="read:*" checked>')
  expect(empty.text).not.toContain('operate')
  const made = await make(ada, { name: 'notebook', scope: 'read:*' })
  const secret = secretIn(made)
  expect(made.status).toBe(200)
  expect(made.text).toContain(`export CYGNET_API_TOKEN=${secret}`)
  expect(made.text.replaceAll(/<[^>]*>/g, '')).toMatch(
    /is valid until [\d-]{10} [\d:]{8}&nbsp;UTC\. Copy it now/,
  )
  expect(made.text).toMatch(/curl -sS -H &quot;Authorization: Bearer \$CYGNET_API_TOKEN&quot;/)
  expect(made.text).toContain('requests.get(')
  expect(made.headers.get('cache-control')).toBe('no-store')
  expect(await me(secret)).toMatchObject({ status: 200, scopes: ['read:*'] })
  const listed = await ada.open(`${SITE}/tokens`)
  expect(listed.text).toContain('You have 1 token.')
  expect(listed.text).not.toContain(secret.slice(4))
  const [{ id } = { id: 0 }] = await listTokens(context.database)
  const revoked = await ada.submit(formAt(listed, `/tokens/${id}/revoke`))
  expect(revoked.text).toContain('The token was revoked.')
  expect(revoked.text).toContain('1 expired or revoked token')
  expect((await me(secret)).status).toBe(401)
})

test('a token can be narrowed to one tag, and is refused with a right that its person does not have', async () => {
  const ada = await signedIn('ada', 'Ada', ['/cygno', '/shifters'])
  const made = await make(ada, { name: 'lnf', scope: 'read:*', tag: 'LNF' })
  expect(await me(secretIn(made))).toMatchObject({ scopes: ['read:LNF'] })
  for (const [fields, reason] of [
    [{ name: 'x', scope: 'operate:*' }, 'do not have the right operate:*'],
    [{ name: 'x', scope: 'recall:LNGS', tag: 'LNF' }, 'do not have the right recall:LNF'],
    [{ name: 'x', scope: 'read:*', tag: '*/..' }, 'is not a scope'],
    [{ name: 'x' }, 'at least one right'],
    [{ name: '', scope: 'read:*' }, 'needs a name'],
    [{ name: 'x', scope: 'read:*', days: '365' }, '1 to 90 days'],
  ] as const) {
    const refused = await make(ada, fields)
    expect([refused.status, refused.text.includes(reason)], refused.text).toEqual([400, true])
  }
})

test('a token for a tag that the catalogue does not know is refused; the form offers those that it knows', async () => {
  await makeRun(context, { tag: 'LNGS', runNumber: 1, ago: 60_000 })
  const ada = await signedIn('ada', 'Ada', ['/cygno'])
  expect((await ada.open(`${SITE}/tokens`)).text).toContain('<option value="LNGS">')
  for (const tag of ['lngs', 'LN GS']) {
    const refused = await make(ada, { name: 'x', scope: 'read:*', tag })
    expect(refused.status).toBe(400)
    expect(refused.text).toContain(`no run of the tag ${tag} yet, but of LNGS`)
  }
  // Named by whoever gave the right.
  const bob = await signedIn('bob', 'Bob', ['/new'])
  expect(await me(secretIn(await make(bob, { name: 'new', scope: 'read:NEW' })))).toMatchObject({
    scopes: ['read:NEW'],
  })
})

test('a form without the token of the session makes and revokes nothing', async () => {
  const ada = await signedIn('ada', 'Ada', ['/cygno'])
  await make(ada, { name: 'kept', scope: 'read:*' })
  const [{ id } = { id: 0 }] = await listTokens(context.database)
  for (const [path, body] of [
    ['/tokens', 'name=x&scope=read:*&days=1&tag='],
    [`/tokens/${id}/revoke`, ''],
  ] as const) {
    const answer = await ada.open(`${SITE}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: SITE },
      body,
    })
    expect(answer.status).toBe(403)
  }
  const [newest] = await listTokens(context.database)
  expect(newest).toMatchObject({ id, revokedAt: null })
})

test('a token that there is not cannot be revoked, whatever its number', async () => {
  const root = await signedIn('root', 'Root', ['/ops'])
  await make(root, { name: 'own', scope: 'read:*' })
  const page = await root.open(`${SITE}/tokens`)
  for (const id of ['4000000', '9'.repeat(400)])
    for (const path of [`/tokens/${id}/revoke`, `/tokens/everybody/${id}/revoke`]) {
      const form = formAt(page, '/tokens')
      const answer = await root.submit({
        ...form,
        text: form.text.replace('action="/tokens"', `action="${path}"`),
      })
      expect([path, answer.status]).toEqual([path, 404])
    }
})

test('operators see the tokens of everybody by person, revoke them, and read who did what', async () => {
  const eve = await signedIn('eve', `Eve ${HOSTILE}`, ['/cygno'])
  const secret = secretIn(await make(eve, { name: 'of-eve', scope: 'read:*' }))
  await createToken(context.database, { name: 'daq01', scopes: ['push:LNGS'], days: 900 }, new Date(nowMs))
  expect((await eve.open(`${SITE}/tokens`)).text).not.toContain('daq01')
  expect((await eve.open(`${SITE}/audit`)).status).toBe(403)
  const root = await signedIn('root', 'Root', ['/ops'])
  const page = await root.open(`${SITE}/tokens`)
  expect(page.text).toContain('machine daq01')
  expect(page.text).toContain('of-eve')
  expect(page.text).not.toContain(HOSTILE)
  const id = /everybody\/(\d+)\/revoke"(?:(?!<\/form>).)*Revoke of-eve/s.exec(page.text)?.[1]
  const revoked = await root.submit(formAt(page, `/tokens/everybody/${id}/revoke`))
  expect(revoked.text).toContain('The token was revoked.')
  expect((await me(secret)).status).toBe(401)
  const audit = await root.open(`${SITE}/audit`)
  expect(audit.text).toContain(`token ${id} revoked`)
  expect(audit.text).toContain('new personal token “of-eve”'.replaceAll(/[“”]/g, '&quot;'))
  expect(audit.text).not.toContain(HOSTILE)
  const ofEve = await root.open(`${SITE}/audit?subject=person%3Aeve`)
  expect(ofEve.text).toContain('of-eve')
  expect(ofEve.text).not.toContain(`token ${id} revoked`)
})

test('a page whose session has lost its rights offers to confirm them, and comes back', async () => {
  const ada = await signedIn('ada', 'Ada', ['/cygno'])
  expect((await ada.open(`${SITE}/runs?tag=LNGS`)).text).toContain('href="/tokens"')
  nowMs += HOUR_MS
  const page = await ada.open(`${SITE}/runs?tag=LNGS`)
  expect(page.status).toBe(200)
  expect(page.text).toContain('<a href="/sign-in?to=%2Fruns%3Ftag%3DLNGS">Confirm your rights</a>')
})

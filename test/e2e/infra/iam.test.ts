/**
 * The embedded IAM: sign-in with a code and PKCE, the device flow, tokens for the catalogue, pages without
 * external resources.
 */
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Iam, startIam } from '../../../infra/local/services/iam/iam.ts'
import { temporaryFolder } from '../../../infra/local/testing.ts'
import { createFormBrowser, type Page } from '../../support/form-browser.ts'
import { LONGEST_WAIT_MS } from '../../support/waiting.ts'

const PUBLIC_URL = 'http://127.0.0.1:9/'

describe('the embedded IAM', () => {
  const dataFolder = temporaryFolder()
  let iam: Iam
  const user = (name: string) => {
    const found = iam.users.find((known) => known.name === name)
    if (found === undefined) throw new Error(`no user ${name}`)
    return { name, password: found.password }
  }
  const configurationOf = (clientId: string, secret?: string) =>
    openid.discovery(
      new URL(iam.issuer),
      clientId,
      secret,
      secret === undefined ? openid.None() : undefined,
      {
        execute: [openid.allowInsecureRequests],
      },
    )
  /** Signs in up to the redirect back to the catalogue. */
  const signIn = async (name: string, password = user(name).password) => {
    const configuration = await configurationOf('cygnet', iam.environment.CYGNET_OIDC_CLIENT_SECRET)
    const [verifier, state, nonce] = [
      openid.randomPKCECodeVerifier(),
      openid.randomState(),
      openid.randomNonce(),
    ]
    const url = openid.buildAuthorizationUrl(configuration, {
      redirect_uri: `${PUBLIC_URL}signed-in`,
      scope: 'openid profile wlcg.groups',
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
    })
    const browser = createFormBrowser({ follow: ({ origin }) => origin === iam.issuer })
    const form = await browser.open(url)
    const end = await browser.submit(form, { name, password })
    return {
      configuration,
      form,
      end,
      checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce },
    }
  }

  beforeAll(async () => {
    iam = await startIam({ dataFolder, publicUrl: PUBLIC_URL })
  })
  afterAll(async () => {
    await iam?.stop()
    rmSync(dataFolder, { recursive: true, force: true })
  })

  it('the embedded IAM signs in a user of each role, and states the groups', async () => {
    for (const [name, groups] of [
      ['reader', ['/cygno']],
      ['shifter', ['/cygno', '/cygno/shifters']],
      ['operator', ['/cygno', '/cygno/operators']],
    ] as const) {
      const { configuration, end, checks } = await signIn(name)
      expect(end.url.href).toContain(`${PUBLIC_URL}signed-in?`)
      const tokens = await openid.authorizationCodeGrant(configuration, end.url, checks)
      expect(tokens.claims()).toMatchObject({ sub: name, name, aud: 'cygnet', 'wlcg.groups': groups })
    }
  })

  it('the access tokens are signed JWTs for the catalogue, with groups', async () => {
    const { configuration, end, checks } = await signIn('shifter')
    const tokens = await openid.authorizationCodeGrant(configuration, end.url, checks)
    const keys = createRemoteJWKSet(new URL(configuration.serverMetadata().jwks_uri ?? ''), {
      timeoutDuration: LONGEST_WAIT_MS,
    })
    const { payload, protectedHeader } = await jwtVerify(tokens.access_token, keys, {
      issuer: iam.issuer,
      audience: 'cygnet',
    })
    expect(protectedHeader).toMatchObject({ alg: 'ES256', typ: 'at+jwt' })
    expect(payload).toMatchObject({
      sub: 'shifter',
      'wlcg.groups': ['/cygno', '/cygno/shifters'],
      groups: ['cygno', 'cygno/shifters'],
    })
  })

  it('a wrong password is refused, and so is a code without its PKCE verifier', async () => {
    const { end } = await signIn('reader', 'wrong')
    expect(end.status).toBe(401)
    expect(end.text).toContain('is wrong')
    const { configuration, end: good, checks } = await signIn('reader')
    const stolen = { ...checks, pkceCodeVerifier: openid.randomPKCECodeVerifier() }
    await expect(openid.authorizationCodeGrant(configuration, good.url, stolen)).rejects.toMatchObject({
      error: 'invalid_grant',
    })
  })

  it('the device flow works, with refresh and revocation', async () => {
    const configuration = await configurationOf('cygnet-cli')
    const device = await openid.initiateDeviceAuthorization(configuration, {
      scope: 'openid profile wlcg.groups offline_access',
    })
    const browser = createFormBrowser()
    const confirm = await browser.submit(await browser.open(device.verification_uri), {
      user_code: device.user_code,
    })
    expect(confirm.text).toContain(device.user_code)
    const done = await browser.submit(await browser.submit(confirm), user('operator'))
    expect(done.text).toContain('The command continues')
    const tokens = await openid.pollDeviceAuthorizationGrant(configuration, { ...device, interval: 1 })
    const refreshed = await openid.refreshTokenGrant(configuration, tokens.refresh_token ?? '')
    expect(refreshed.access_token).not.toBe(tokens.access_token)
    await openid.tokenRevocation(configuration, refreshed.refresh_token ?? '')
    await expect(
      openid.refreshTokenGrant(configuration, refreshed.refresh_token ?? ''),
    ).rejects.toMatchObject({ error: 'invalid_grant' })
  })

  it('a code in the address is confirmed once, and an unknown one is reported', async () => {
    const configuration = await configurationOf('cygnet-cli')
    const device = await openid.initiateDeviceAuthorization(configuration, { scope: 'openid profile' })
    const browser = createFormBrowser()
    const question = await browser.open(device.verification_uri_complete ?? '')
    expect(question.text).toContain('Does the command show this code?')
    const [, code = ''] = /value="([^"]+)" name="user_code"/.exec(question.text) ?? []
    expect(code).toBe(device.user_code)
    expect(question.text).not.toMatch(/<script|style=|@import| on\w+=/)
    const unknown = await browser.submit(question, { user_code: 'BBBB-BBBB', confirm: 'yes' })
    expect(unknown.text).toContain('unknown or has expired')
    const again = await browser.open(device.verification_uri_complete ?? '')
    const done = await browser.submit(
      await browser.submit(again, { user_code: code, confirm: 'yes' }),
      user('reader'),
    )
    expect(done.text).toContain('The command continues')
  })

  it('an invalid code is shown as escaped text', async () => {
    const browser = createFormBrowser()
    const { text, status } = await browser.open(
      `${iam.issuer}/device?user_code=${encodeURIComponent('"><script>alert(1)</script>$&')}`,
    )
    expect(status).toBe(200)
    expect(text).toContain('value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;$&amp;"')
    expect((await browser.open(`${iam.issuer}/device?user_code=A&user_code=B`)).text).toContain('value="A"')
  })

  it('the pages load no external resources and run no script', async () => {
    const { form, configuration } = await signIn('reader')
    const browser = createFormBrowser()
    const device = await browser.open(`${iam.issuer}/device`)
    const refused = await browser.open(
      openid.buildAuthorizationUrl(configuration, { redirect_uri: 'https://evil.example/', scope: 'openid' }),
    )
    expect(refused.url.origin).toBe(iam.issuer)
    for (const { text, headers } of [form, device, refused] satisfies Page[]) {
      expect(text.match(/(?:src|href)="[^"]*"/g)).toEqual(['href="/style.css"'])
      expect(text).not.toMatch(/<script|style=|@import| on\w+=/)
      expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    }
    expect((await browser.open(`${iam.issuer}/style.css`)).headers.get('content-type')).toBe('text/css')
  })

  it('passwords and keys are in files that only their owner can read, and are the same after a restart', async () => {
    const before = iam.users
    const keys = async () => await (await fetch(`${iam.issuer}/jwks`)).text()
    const keysBefore = await keys()
    await iam.stop()
    iam = await startIam({ dataFolder, publicUrl: PUBLIC_URL })
    expect(iam.users).toEqual(before)
    expect(new Set(before.map(({ password }) => password)).size).toBe(3)
    expect(await keys()).toBe(keysBefore)
    for (const name of ['passwords.json', 'settings.json', 'keys.json', 'client-secret'])
      expect(statSync(join(dataFolder, 'iam', name)).mode & 0o777).toBe(0o600)
  })
})

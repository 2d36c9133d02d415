/**
 * Signing in with a browser: OpenID Connect authorization code flow with PKCE, state and nonce. Signing out,
 * also at the IAM.
 */
import type { Context, MiddlewareHandler } from 'hono'
import * as openid from 'openid-client'
import * as z from 'zod'
import type { Caller } from '../../../shared/access/caller.ts'
import { confirmIfKnown, confirmPerson } from '../../../shared/access/people.ts'
import type { Grant } from '../../../shared/access/roles.ts'
import type { Context as ServiceContext } from '../../../shared/context.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addPage } from '../http/route.ts'
import type { BrowserSignIn, Identity } from './identity.ts'
import { personOf } from './person.ts'
import { safePath } from './safe-path.ts'
import { createSeal } from './seal.ts'
import { hasLapsed } from './session.ts'
import { claimsOfTokens } from './token-claims.ts'

/** Stored in the browser that began the sign-in, so that no other browser can complete it. */
const ATTEMPT_COOKIE = 'cygnet-sign-in'
const ATTEMPT_SECONDS = 600
const attemptSchema = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  to: z.string(),
  lasting: z.boolean(),
})

const REQUESTED_SCOPES = ['openid', 'profile', 'groups', 'wlcg.groups']

const START_AGAIN = 'start again at /sign-in'

export function registerSignIn(
  api: Api,
  context: Pick<ServiceContext<'database'>, 'config' | 'database' | 'log' | 'now'>,
  { browser, confirmRights, grants }: Identity,
): void {
  const { config, database, log, now } = context
  if (browser === null) {
    for (const path of ['/sign-in', '/signed-in'])
      addPage(api, 'GET', path, { open: true }, () =>
        Promise.reject(refusal(404, 'signing in is not possible here: no IAM is configured')),
      )
    return
  }
  const { home, cookies, sessions } = browser
  const attempts = createSeal(browser.secret, 'sign-in', now)
  const rules = { groupClaims: config.access.oidcGroupClaims, grants }

  addPage(api, 'GET', '/sign-in', { open: true }, async (c) => {
    const issuer = await browser.issuer.configuration()
    const attempt = {
      state: openid.randomState(),
      nonce: openid.randomNonce(),
      verifier: openid.randomPKCECodeVerifier(),
    }
    const lasting = c.req.query('lasting') === 'yes'
    const to = safePath(c.req.query('to'))
    await cookies.write(c, ATTEMPT_COOKIE, attempts, { ...attempt, to, lasting }, ATTEMPT_SECONDS)
    const url = openid.buildAuthorizationUrl(issuer, {
      redirect_uri: new URL('signed-in', home).href,
      scope: scopeFor(issuer, lasting),
      // OpenID Connect Core 1.0 §11: without consent, an IAM may ignore the scope offline_access.
      ...(lasting ? { prompt: 'consent' } : {}),
      code_challenge: await openid.calculatePKCECodeChallenge(attempt.verifier),
      code_challenge_method: 'S256',
      state: attempt.state,
      nonce: attempt.nonce,
    })
    return c.redirect(url.href, 302)
  })

  addPage(api, 'GET', '/signed-in', { open: true }, async (c) => {
    const attempt = attemptSchema.safeParse(await cookies.read(c, ATTEMPT_COOKIE, attempts)).data
    cookies.remove(c, ATTEMPT_COOKIE)
    if (attempt === undefined)
      throw refusal(400, `this sign-in was started in another browser, or too long ago; ${START_AGAIN}`)
    const { person, refreshToken } = await signedInPerson(
      await browser.issuer.configuration(),
      answerAt(c, home),
      attempt,
      rules,
    )
    const confirmation = { ...person, confirmedAt: now() }
    if (attempt.lasting && refreshToken !== undefined && confirmRights.keep !== null) {
      await confirmPerson(database, confirmation)
      await confirmRights.keep(person.subject, refreshToken)
    } else
      await confirmIfKnown(database, confirmation).catch((error) =>
        log.warn({ error }, 'confirmation-not-recorded'),
      )
    await sessions.begin(c, person)
    log.info({ subject: person.subject, scopes: person.scopes }, 'signed-in')
    return c.redirect(attempt.to, 302)
  })

  addPage(api, 'POST', '/sign-out', { open: true }, async (c) => {
    await sessions.end(c)
    return c.redirect(await endAtIam(browser), 303)
  })
}

/** Instead of a 401, redirects a browser that requested a page to the sign-in, and from there back. */
export function redirectToSignIn({ browser, anonymous }: Identity): MiddlewareHandler {
  return async (c, next) => {
    await next()
    const wantsPage =
      c.req.method === 'GET' &&
      !c.req.path.startsWith('/api/') &&
      (c.req.header('accept') ?? '').includes('text/html')
    if (browser === null || c.res.status !== 401 || !wantsPage) return
    const caller = c.get('caller')
    if (caller === undefined || (caller.kind !== anonymous.kind && !hasLapsed(caller))) return
    const { pathname, search } = new URL(c.req.url)
    const location = `/sign-in?to=${encodeURIComponent(`${pathname}${search}`)}`
    // Removed first, since hono otherwise copies the headers of the old answer to the new one.
    c.res = undefined
    c.res = new Response(null, { status: 302, headers: { location } })
  }
}

/** Those of our scopes that the IAM supports: some IAMs refuse unknown scopes. */
function scopeFor(issuer: openid.Configuration, lasting: boolean): string {
  const supported = issuer.serverMetadata().scopes_supported
  const requested = lasting ? [...REQUESTED_SCOPES, 'offline_access'] : REQUESTED_SCOPES
  return requested.filter((scope) => scope === 'openid' || supported?.includes(scope) !== false).join(' ')
}

/** The address as the browser opened it: behind a gateway, the request has another host. */
const answerAt = (c: Context, home: URL): URL => {
  const url = new URL('signed-in', home)
  url.search = new URL(c.req.url).search
  return url
}

async function signedInPerson(
  issuer: openid.Configuration,
  answer: URL,
  attempt: z.infer<typeof attemptSchema>,
  rules: { readonly groupClaims: readonly string[]; readonly grants: readonly Grant[] },
): Promise<{ readonly person: Caller; readonly refreshToken: string | undefined }> {
  const { claims, refreshToken } = await claimsOf(issuer, answer, attempt, rules.groupClaims).catch(
    (error: unknown) => {
      throw signInProblem(error)
    },
  )
  const person = personOf(claims, rules)
  if (person === null) throw refusal(403, 'the IAM names no subject')
  return { person, refreshToken }
}

async function claimsOf(
  issuer: openid.Configuration,
  answer: URL,
  { state, nonce, verifier }: z.infer<typeof attemptSchema>,
  groupClaims: readonly string[],
) {
  const checks = {
    expectedState: state,
    expectedNonce: nonce,
    pkceCodeVerifier: verifier,
    idTokenExpected: true,
  }
  const tokens = await openid.authorizationCodeGrant(issuer, answer, checks)
  const claims = (await claimsOfTokens(issuer, tokens, groupClaims)) ?? {}
  return { claims, refreshToken: tokens.refresh_token }
}

/**
 * A failed sign-in as a problem that is safe to show. The IAM's message came in the address, so anyone may
 * have written it.
 */
function signInProblem(error: unknown): unknown {
  if (error instanceof openid.AuthorizationResponseError)
    return refusal(
      403,
      `the IAM did not sign you in (${/^[a-z_]{1,40}$/.test(error.error) ? error.error : 'error'}); ${START_AGAIN}`,
    )
  if (error instanceof openid.ResponseBodyError && error.error === 'invalid_grant')
    return refusal(400, `the IAM does not know this sign-in, or it has expired; ${START_AGAIN}`)
  const code = error instanceof openid.ClientError ? error.code : undefined
  // A state or nonce that does not match, a token for another client, an answer of another flow, and similar.
  if (code !== undefined && /INVALID_RESPONSE|UNSUPPORTED|JWT|CLAIM/.test(code))
    return refusal(400, `the answer of the IAM does not match this sign-in; ${START_AGAIN}`)
  return error
}

/** The IAM may ask whether to end its own session; ours is ended in any case. */
async function endAtIam({ issuer, home }: BrowserSignIn): Promise<string> {
  const configuration = await issuer.configuration().catch(() => null)
  if (configuration?.serverMetadata().end_session_endpoint === undefined) return '/'
  return openid.buildEndSessionUrl(configuration, { post_logout_redirect_uri: home.href }).href
}

/** An API with access control and routes of the test, and an IAM whose keys and faults the test controls. */
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import type { Identity } from '../../../../functions/catalog-api/access/identity.ts'
import { registerAccess } from '../../../../functions/catalog-api/access/register.ts'
import { createEmptyApi } from '../../../../functions/catalog-api/http/empty-api.ts'
import type { Api } from '../../../../functions/catalog-api/http/route.ts'
import type { Context } from '../../../../shared/context.ts'
import { startHttpServer } from '../../http-server.ts'
import { bodyOf } from '../../iam-server.ts'

export type AccessContext = Pick<Context<'database'>, 'config' | 'database' | 'log' | 'now'>

export function createAccessApi(
  context: AccessContext,
  add: (api: Api, identity: Identity) => void = () => {},
): Api {
  const api = createEmptyApi(context.log)
  add(api, registerAccess(api, context).identity)
  return api
}

/** Begins a sign-in as a browser does. @returns its cookie, and the state and nonce sent to the IAM. */
export async function beginSignIn({ app }: Api, clientAddress?: string) {
  const begun = await app.request('/sign-in', {}, { clientAddress })
  const asked = new URL(begun.headers.get('location') ?? '').searchParams
  const cookie = (begun.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
  return { cookie, state: asked.get('state'), nonce: asked.get('nonce') }
}

export interface TestIssuer {
  readonly url: string
  /** The number of requests for the keys, including refused ones. */
  readonly keyRequests: () => number
  /** The `authorization` headers of the clients' token requests. */
  readonly authorizations: readonly (string | undefined)[]
  /** A token with valid claims except for the changes; `undefined` omits a claim. */
  token(
    changes?: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
  ): Promise<string>
  /** Signs with a new key from now on; the old one is no longer published. */
  rotate(): Promise<void>
  setAway(away: boolean): void
  /** Sets the result of the next sign-ins: the claims of the ID token, and the user information. */
  setSignIn(claims: Readonly<Record<string, unknown>>, userinfo?: Readonly<Record<string, unknown>>): void
  /**
   * Sets the refresh token that the next sign-ins return, and the only one that is then accepted; each use returns
   * a new one (`<token>+`). Null: none is returned or accepted. A second use of an old one ends the sign-in.
   */
  setRefreshToken(token: string | null): void
  /** The number of refresh requests. */
  readonly refreshes: () => number
  publicKey(): Promise<string>
  close(): Promise<void>
}

/** @param now the time of the service under test, used for the dates of tokens. */
export async function startTestIssuer(now: () => Date): Promise<TestIssuer> {
  let serial = 0
  let keyRequests = 0
  let away = false
  const authorizations: (string | undefined)[] = []
  let signIn: { readonly claims: Readonly<Record<string, unknown>>; readonly userinfo: object } = {
    claims: {},
    userinfo: {},
  }
  let refreshToken: string | null = null
  let refreshes = 0
  const newKey = async () => {
    serial += 1
    return { ...(await generateKeyPair('ES256', { extractable: true })), kid: `key-${serial}` }
  }
  let key = await newKey()
  const token: TestIssuer['token'] = async (changes = {}, header = {}) => {
    const seconds = Math.floor(now().getTime() / 1000)
    const good = {
      iss: url,
      aud: 'cygnet',
      sub: 'alice',
      name: 'Alice',
      iat: seconds,
      exp: seconds + 3600,
      'wlcg.groups': ['/cygno'],
    }
    const claims = Object.fromEntries(
      Object.entries({ ...good, ...changes }).filter(([, value]) => value !== undefined),
    )
    return await new SignJWT(claims as JWTPayload)
      .setProtectedHeader({ alg: 'ES256', kid: key.kid, ...header })
      .sign(key.privateKey)
  }
  const http = await startHttpServer(async (request, response) => {
    if (request.url === '/keys') keyRequests += 1
    if (request.url === '/token') authorizations.push(request.headers.authorization)
    const form = new URLSearchParams(request.url === '/token' ? await bodyOf(request) : '')
    const isRefresh = form.get('grant_type') === 'refresh_token'
    if (isRefresh) refreshes += 1
    if (away) return void response.writeHead(503).end()
    response.setHeader('content-type', 'application/json')
    if (request.url === '/keys')
      response.end(
        JSON.stringify({
          keys: [{ ...(await exportJWK(key.publicKey)), kid: key.kid, use: 'sig', alg: 'ES256' }],
        }),
      )
    else if (request.url === '/.well-known/openid-configuration')
      response.end(JSON.stringify(descriptionOf(url)))
    else if (isRefresh && (refreshToken === null || form.get('refresh_token') !== refreshToken)) {
      refreshToken = null
      response.writeHead(400).end('{"error":"invalid_grant"}')
    } else if (request.url === '/token') {
      if (isRefresh) refreshToken += '+'
      // No nonce in a refreshed ID token (OpenID Connect Core 1.0 §12.2).
      const { nonce, ...claims } = signIn.claims
      response.end(
        JSON.stringify({
          access_token: 'at',
          token_type: 'Bearer',
          id_token: await token({ aud: 'cygnet-web', ...claims, ...(isRefresh ? {} : { nonce }) }),
          ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
        }),
      )
    } else if (request.url === '/userinfo') response.end(JSON.stringify(signIn.userinfo))
    else response.writeHead(404).end('{}')
  })
  const url = http.origin
  return {
    url,
    keyRequests: () => keyRequests,
    authorizations,
    token,
    async rotate() {
      key = await newKey()
    },
    setAway(state) {
      away = state
    },
    refreshes: () => refreshes,
    setRefreshToken(token) {
      refreshToken = token
    },
    setSignIn(claims, userinfo = {}) {
      signIn = { claims, userinfo }
    },
    publicKey: async () => JSON.stringify(await exportJWK(key.publicKey)),
    close: () => http.close(),
  }
}

const descriptionOf = (url: string) => ({
  issuer: url,
  jwks_uri: `${url}/keys`,
  authorization_endpoint: `${url}/auth`,
  token_endpoint: `${url}/token`,
  userinfo_endpoint: `${url}/userinfo`,
  id_token_signing_alg_values_supported: ['ES256'],
})

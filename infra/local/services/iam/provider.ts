/**
 * The configuration of oidc-provider as the embedded IAM: authorization code with PKCE for the catalogue's pages,
 * the device flow for the command, access tokens as JWTs for the catalogue, groups named as by INDIGO IAM.
 */
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Configuration, type JWKS, Provider } from 'oidc-provider'
import { escaped } from '../../html.ts'
import { writePrivateFile } from '../../secrets.ts'
import { deviceCodePage, deviceConfirmPage, deviceLinkPage, logoutPage, page } from './pages.ts'
import { AUDIENCE, addressOf, CLI_CLIENT, type StartSettings, WEB_CLIENT } from './settings.ts'

/** A resource must be an address; the tokens have AUDIENCE. */
const RESOURCE = 'urn:cygnet:catalogue'
const SIGNING = 'ES256'
const SCOPES = 'openid profile offline_access groups wlcg.groups'

/** The path of the page of the device flow in oidc-provider. */
const DEVICE_PATH = '/device'
/** Name, in the state of a request, of the code in its address. */
const CODE = 'userCode'

/** @param usersNow the users with their present groups. */
export function createProvider(settings: StartSettings, usersNow: () => StartSettings['users']): Provider {
  const provider = new Provider(addressOf(settings.port), configuration(settings, usersNow))
  // For an address with the code in it oidc-provider answers with a form that a script submits, but our pages run
  // no scripts.
  provider.use(async (ctx, next) => {
    if (ctx.method === 'GET' && ctx.path === DEVICE_PATH) {
      ctx.state[CODE] = [ctx.query.user_code].flat()[0] || undefined
      ctx.querystring = ''
    }
    await next()
  })
  return provider
}

function configuration(settings: StartSettings, usersNow: () => StartSettings['users']): Configuration {
  const find = (name: string) => usersNow().find((known) => known.name === name)
  return {
    clients: clientsOf(settings),
    jwks: storedKeys(join(settings.folder, 'keys.json')),
    cookies: { keys: [settings.cookieSecret] },
    pkce: { required: () => true },
    scopes: SCOPES.split(' '),
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      groups: ['groups'],
      'wlcg.groups': ['wlcg.groups'],
    },
    // The catalogue reads the groups from the ID token, without a second request.
    conformIdTokenClaims: false,
    ttl: {
      AccessToken: settings.accessTokenSeconds,
      Session: 86_400,
      Grant: 14 * 86_400,
      RefreshToken: 14 * 86_400,
      DeviceCode: 600,
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount(_, name) {
      const user = find(name)
      return (
        user && {
          accountId: name,
          claims: () => ({ sub: name, name, preferred_username: name, ...groupClaims(user.groups) }),
        }
      )
    },
    extraTokenClaims(_, token) {
      const user = 'accountId' in token ? find(token.accountId ?? '') : undefined
      return user && groupClaims(user.groups)
    },
    // Both clients are ours: users need not consent to give them their name and groups.
    async loadExistingGrant({ oidc }) {
      const grantId = oidc.result?.consent?.grantId ?? oidc.session?.grantIdFor(oidc.client?.clientId ?? '')
      const existing = grantId === undefined ? undefined : await oidc.provider.Grant.find(grantId)
      if (existing !== undefined) return existing
      const { client, session } = oidc
      if (client === undefined || session?.accountId === undefined) return undefined
      const grant = new oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId })
      grant.addOIDCScope(SCOPES)
      grant.addResourceScope(RESOURCE, AUDIENCE)
      await grant.save()
      return grant
    },
    renderError(ctx, out) {
      ctx.type = 'html'
      ctx.body = page('This did not work', `<p>${escaped(out.error_description ?? out.error)}</p>`)
    },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: AUDIENCE,
          audience: AUDIENCE,
          accessTokenTTL: settings.accessTokenSeconds,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: SIGNING } },
        }),
      },
      revocation: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource(ctx, form) {
          ctx.body = logoutPage(form)
        },
        postLogoutSuccessSource(ctx) {
          ctx.body = page('Signed out', '<p>You are signed out.</p>')
        },
      },
      deviceFlow: {
        enabled: true,
        userCodeInputSource(ctx, form, _, error) {
          const code: unknown = ctx.state[CODE]
          const input = withoutScript(form)
          ctx.body =
            typeof code === 'string'
              ? deviceLinkPage(filledIn(input, code))
              : deviceCodePage(input, problemOf(error))
        },
        userCodeConfirmSource(ctx, form, _client, _device, code) {
          ctx.body = deviceConfirmPage(form, code)
        },
        successSource(ctx) {
          ctx.body = page('Signed in', '<p>The command continues. You can close this page.</p>')
        },
      },
    },
  }
}

function clientsOf({ publicUrl, clientSecret }: StartSettings): NonNullable<Configuration['clients']> {
  const home = publicUrl.replace(/\/+$/, '')
  const common = { id_token_signed_response_alg: SIGNING } as const
  return [
    {
      ...common,
      client_id: WEB_CLIENT,
      client_secret: clientSecret,
      redirect_uris: [`${home}/signed-in`],
      post_logout_redirect_uris: [`${home}/`],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
    {
      ...common,
      client_id: CLI_CLIENT,
      client_name: 'cygnet login',
      token_endpoint_auth_method: 'none',
      redirect_uris: [],
      response_types: [],
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    },
  ]
}

/** The WLCG profile writes groups with a slash in front, INDIGO's own without. */
const groupClaims = (groups: readonly string[]) => ({
  'wlcg.groups': [...groups],
  groups: groups.map((group) => group.replace(/^\//, '')),
})

/** The policy of the pages allows no script, so the one in this attribute is removed. */
const withoutScript = (form: string) => form.replace(/ onfocus="[^"]*"/, '')

const filledIn = (form: string, code: string) =>
  form.replace(' type="text"', () => ` type="text" value="${escaped(code)}"`)

function problemOf(error: Error | undefined): string | null {
  if (error === undefined) return null
  return error.name === 'AbortedError'
    ? 'The sign-in of the command was stopped.'
    : 'This code is unknown or has expired. Try again.'
}

/** The signing keys, stored so that tokens and sessions remain valid after a restart. */
function storedKeys(file: string): JWKS {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as JWKS
  } catch {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const keys = { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: SIGNING }] }
    writePrivateFile(file, JSON.stringify(keys))
    return keys as JWKS
  }
}

/** Access to the API and the pages. */
import * as z from 'zod'
import { list, setting, text, whole } from './setting.ts'

export const access = {
  publicUrl: setting(
    'CYGNET_PUBLIC_URL',
    z.url().optional(),
    'address of the catalogue as browsers reach it; needed for signing in',
  ),
  sessionSecret: setting(
    'CYGNET_SESSION_SECRET',
    text.min(32).optional(),
    'encrypts the cookies of signed-in browsers, at least 32 characters',
    true,
  ),
  oidcIssuer: setting(
    'CYGNET_OIDC_ISSUER',
    z.url().optional(),
    'the IAM (OpenID Connect), e.g. https://iam.example.org/; absent: sign-in is disabled',
  ),
  oidcClientId: setting('CYGNET_OIDC_CLIENT_ID', text.optional(), 'our client at the IAM'),
  oidcClientSecret: setting('CYGNET_OIDC_CLIENT_SECRET', text.optional(), 'its secret', true),
  oidcCliClientId: setting(
    'CYGNET_OIDC_CLI_CLIENT_ID',
    text.optional(),
    'the public client at the IAM for `cygnet login` (device flow)',
  ),
  oidcAudience: setting(
    'CYGNET_OIDC_AUDIENCE',
    text.default('cygnet'),
    'audience that bearer tokens must name',
  ),
  oidcGroupClaims: setting(
    'CYGNET_OIDC_GROUP_CLAIMS',
    list.default(['wlcg.groups', 'groups']),
    'claims that hold the groups of a person',
  ),
  roles: setting(
    'CYGNET_ROLES',
    z.string().default(''),
    'what groups may do, separated by semicolons: GROUP=ROLE:TAG with role reader, shifter, expert, run-coordinator or operator (docs/rights.md) and a tag or *, e.g. "/cygno=reader:*;/cygno/ops=operator:*"',
  ),
  anonymousScopes: setting(
    'CYGNET_ANONYMOUS_SCOPES',
    list.default([]),
    'rights of everyone without signing in, e.g. read:* (none when empty)',
  ),
  requestsPerMinute: setting(
    'CYGNET_REQUESTS_PER_MINUTE',
    whole.default(600),
    'requests per minute that one caller, or one address without sign-in, may send to the API',
  ),
  trustedProxies: setting(
    'CYGNET_TRUSTED_PROXIES',
    whole.default(0),
    'number of proxies in front of the API that each append the address of their client to X-Forwarded-For; 0: only the address of the connection is used',
  ),
} as const

/** The IAM: its endpoints (OpenID Connect Discovery 1.0) and its signing keys (RFC 7517). */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import * as openid from 'openid-client'
import { isSafeAddress } from '../../../shared/access/safe-address.ts'
import type { Config } from '../../../shared/config/config.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { createCached } from '../http/cached.ts'

export interface Issuer {
  /** The origin of the pages to which browsers are redirected. */
  readonly origin: string
  /** @throws TransientError if the IAM has never answered. */
  configuration(): Promise<openid.Configuration>
  /**
   * The key with which a token claims to be signed. Known keys remain in use while the IAM is unreachable;
   * for an unknown one the keys are fetched again.
   * @throws TransientError when it cannot be determined whether such a key exists.
   */
  readonly keyOf: JWTVerifyGetKey
}

const ANSWER_SECONDS = 5
const MINUTE_MS = 60_000
const PAUSE_MS = 10_000
const METADATA_TIMES = { freshMs: 60 * MINUTE_MS, pauseMs: PAUSE_MS, longestMs: Number.POSITIVE_INFINITY }
/**
 * A key that the IAM withdrew remains valid for ten minutes; while the IAM is unreachable, for a day, which
 * is longer than any token lives.
 */
const KEY_TIMES = { freshMs: 10 * MINUTE_MS, pauseMs: PAUSE_MS, longestMs: 24 * 60 * MINUTE_MS }

/** Discovery requires the id of a client; with bearer tokens alone there is none. */
const NO_CLIENT = 'cygnet'

/**
 * @throws InvalidInputError for an address that is not https, since the keys could then be forged. This
 * machine itself is allowed.
 */
export function createIssuer(config: Config, now: () => Date): Issuer | null {
  if (config.access.oidcIssuer === undefined) return null
  const address = new URL(config.access.oidcIssuer)
  if (!isSafeAddress(address)) throw new InvalidInputError('CYGNET_OIDC_ISSUER must be an https address')
  const insecure = address.protocol === 'http:'
  const secret = config.access.oidcClientSecret

  const metadata = createCached(
    'the description of the IAM',
    () =>
      openid.discovery(
        address,
        config.access.oidcClientId ?? NO_CLIENT,
        undefined,
        secret === undefined ? openid.None() : basic(secret),
        { timeout: ANSWER_SECONDS, execute: insecure ? [openid.allowInsecureRequests] : [] },
      ),
    METADATA_TIMES,
    now,
  )
  const keys = createCached(
    'the keys of the IAM',
    async () => await fetchKeys((await metadata.get()).serverMetadata().jwks_uri),
    KEY_TIMES,
    now,
  )

  return {
    origin: address.origin,
    configuration: metadata.get,
    async keyOf(header, token) {
      try {
        return await (await keys.get())(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
        return await (await keys.renew())(header, token)
      }
    },
  }
}

/**
 * RFC 6749 §2.3.1 with minimal escaping: INDIGO IAM does not decode what it receives, and its ids contain
 * hyphens, which openid-client would escape.
 */
function basic(secret: string): openid.ClientAuth {
  const encoded = (text: string) => new URLSearchParams({ _: text }).toString().slice(2)
  return (_, client, _body, headers) => {
    headers.set(
      'authorization',
      `Basic ${Buffer.from(`${encoded(client.client_id)}:${encoded(secret)}`).toString('base64')}`,
    )
  }
}

async function fetchKeys(uri: string | undefined): Promise<JWTVerifyGetKey> {
  if (uri === undefined || !isSafeAddress(new URL(uri)))
    throw new Error('the IAM gives no safe address for its keys')
  const answer = await fetch(uri, { redirect: 'error', signal: AbortSignal.timeout(ANSWER_SECONDS * 1000) })
  if (!answer.ok) {
    await answer.body?.cancel()
    throw new Error(`the IAM answers ${answer.status} instead of its keys`)
  }
  const set = (await answer.json()) as JSONWebKeySet
  const find = createLocalJWKSet(set)
  if (set.keys.length === 0) throw new Error('the IAM has no keys')
  return find
}

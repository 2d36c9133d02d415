/**
 * Bearer tokens for tape endpoints, FTS and Rucio: a fixed one, or short-lived ones that are fetched from an
 * IAM and renewed before they expire.
 *
 * A valid token is used until it expires, whatever the IAM replies in the meantime. Tokens are held in memory
 * and, where configured, in a file (shared/tape/tokens/cache-file.ts); they appear in no error and no log
 * line.
 *
 * @example
 * const tokens = createTokenSource({ tokenUrl: 'https://iam.example.org/token', clientId, clientSecret, scope: 'storage.read:/' })
 * const token = await tokens.token(signal)
 */

import { createHash } from 'node:crypto'
import type { Config } from '../../config/config.ts'
import { InvalidInputError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { OAuthClient } from './grant.ts'
import { checkedUrl, createHttpClient } from './http.ts'
import { RenewedTokens } from './renewed.ts'
import type { TokenSource } from './token-source.ts'

export interface TokenSourceOptions {
  /** A token that is used unchanged; not together with `tokenUrl`. */
  readonly fixed?: string | undefined
  /** Token endpoint of the IAM; https, since it receives the client's secret (http only on this machine). */
  readonly tokenUrl?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  /** Absent: the client-credentials grant. */
  readonly refreshToken?: string | undefined
  /** Separated by blanks. */
  readonly scope?: string | undefined
  readonly audience?: string | undefined
  /** A private file that keeps the tokens between processes. */
  readonly cacheFile?: string | undefined
  /** PEM file with certificate authorities of the IAM in addition to Node's own. */
  readonly caFile?: string | undefined
  readonly timeoutSeconds?: number | undefined
  readonly log?: Pick<Logger, 'warn'> | undefined
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
  /** From 0 to 1; spreads the renewals of processes that got their tokens at the same time. */
  readonly random?: (() => number) | undefined
}

/** The settings of the environment as options. */
export const tokenOptions = (config: Config): TokenSourceOptions => ({
  fixed: config.tape.token,
  tokenUrl: config.tape.tokenUrl,
  clientId: config.tape.clientId,
  clientSecret: config.tape.clientSecret,
  refreshToken: config.tape.refreshToken,
  scope: config.tape.scope,
  audience: config.tape.audience,
  cacheFile: config.tape.tokenCache,
  caFile: config.tape.caFile,
})

/**
 * @throws InvalidInputError when settings are missing or contradict each other, naming them but not their
 * values.
 */
export function createTokenSource(options: TokenSourceOptions): TokenSource {
  const { fixed } = options
  const client = clientOf(options)
  if (client !== null) {
    if (fixed !== undefined)
      throw new InvalidInputError(
        'CYGNET_TAPE_TOKEN and CYGNET_TAPE_TOKEN_URL are both set: give one of them',
      )
    const {
      cacheFile = null,
      refreshToken = null,
      now = Date.now,
      random = Math.random,
      log,
      caFile,
      timeoutSeconds = 20,
    } = options
    const http = createHttpClient('the IAM', { caFile, timeoutSeconds })
    return new RenewedTokens({
      http,
      client,
      refreshToken,
      identity: identityOf(client, refreshToken),
      cacheFile,
      log,
      now,
      random,
    })
  }
  if (fixed !== undefined && !/^[\x21-\x7e]+$/.test(fixed))
    throw new InvalidInputError(
      'CYGNET_TAPE_TOKEN contains characters that are not allowed in a token (blanks, line breaks)',
    )
  return { token: async () => fixed ?? null, refused() {} }
}

function clientOf(options: TokenSourceOptions): OAuthClient | null {
  const { tokenUrl, clientId, clientSecret, refreshToken, scope, audience } = options
  if (tokenUrl === undefined) {
    if ([clientId, clientSecret, refreshToken].every((part) => part === undefined)) return null
    throw new InvalidInputError(
      'CYGNET_TAPE_TOKEN_URL is missing: a client id, secret or refresh token cannot be used without it',
    )
  }
  if (clientId === undefined)
    throw new InvalidInputError(
      'CYGNET_TAPE_CLIENT_ID is missing: the IAM gives tokens to registered clients only',
    )
  if (clientSecret === undefined)
    throw new InvalidInputError('CYGNET_TAPE_CLIENT_SECRET is missing: a client id needs a secret')
  const url = checkedUrl('CYGNET_TAPE_TOKEN_URL', tokenUrl)
  if (url.protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname))
    throw new InvalidInputError(
      'CYGNET_TAPE_TOKEN_URL must be https: the secret of the client would travel in clear text',
    )
  return { tokenUrl: url, clientId, clientSecret, scope, audience }
}

/**
 * Identifies the client, scope and configured refresh token of a cached token; one with another identity is
 * not used. Secrets enter only through a hash, so that a new refresh token in the settings invalidates tokens
 * obtained with the old one.
 */
function identityOf(client: OAuthClient, refreshToken: string | null): string {
  const parts = [
    client.tokenUrl.href,
    client.clientId,
    client.scope ?? null,
    client.audience ?? null,
    refreshToken,
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

/**
 * Short-lived tokens of an IAM: fetched when first needed, renewed before they expire, and kept until then if
 * a renewal fails.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { TransientError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { type CachedToken, lockCache, readCache, writeCache } from './cache-file.ts'
import { type OAuthClient, requestToken } from './grant.ts'
import type { HttpClient } from './http.ts'
import type { TokenSource } from './token-source.ts'

export interface RenewedTokensOptions {
  readonly http: HttpClient
  readonly client: OAuthClient
  /** The configured refresh token; null: the client-credentials grant. */
  readonly refreshToken: string | null
  /** Tokens in the file with another identity are not ours. */
  readonly identity: string
  readonly cacheFile: string | null
  readonly log: Pick<Logger, 'warn'> | undefined
  readonly now: () => number
  readonly random: () => number
}

/**
 * A token is renewed this long before it expires (as the experiment's scripts do), or a quarter of its
 * lifetime before if that is shorter.
 */
const EARLY_SECONDS = 300
/** Renewal is earlier by up to this additional share, at random. */
const JITTER = 0.2
/** After a failed renewal, the old token is used for this long before the next attempt. */
const PAUSE_MS = 10_000
/** A refused token is renewed at once, but not more often than this. */
const FORCED_EVERY_MS = 10_000
const LOCK_POLL_MS = 100
/** A renewal is shared by all callers: only its own time limit ends it. */
const untilItEnds = new AbortController().signal

export class RenewedTokens implements TokenSource {
  readonly #options: RenewedTokensOptions
  #held: CachedToken | null = null
  #renewAtMs = 0
  #pausedUntilMs = 0
  #refused: string | null = null
  #forcedAtMs = Number.NEGATIVE_INFINITY
  #renewal: Promise<string> | null = null

  constructor(options: RenewedTokensOptions) {
    this.#options = options
  }

  async token(signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const good = this.#good()
    if (
      good !== null &&
      (this.#isFresh() || (this.#options.now() < this.#pausedUntilMs && good !== this.#refused))
    )
      return good
    this.#renewal ??= this.#renewOrKeep()
    return await abortable(this.#renewal, signal)
  }

  refused(token: string): void {
    const now = this.#options.now()
    // `abs`: a clock that was set back must not extend these seconds to hours.
    if (token !== this.#held?.accessToken || Math.abs(now - this.#forcedAtMs) < FORCED_EVERY_MS) return
    this.#forcedAtMs = now
    this.#refused = token
  }

  /** The token held, unless it has expired. */
  #good(): string | null {
    const held = this.#held
    return held !== null && this.#options.now() < held.expiresAtMs ? held.accessToken : null
  }

  #isFresh(): boolean {
    const good = this.#good()
    return good !== null && good !== this.#refused && this.#options.now() < this.#renewAtMs
  }

  #hold(token: CachedToken): void {
    const lifeMs = token.expiresAtMs - token.obtainedAtMs
    const earlyMs = Math.min(EARLY_SECONDS * 1000, lifeMs / 4) * (1 + JITTER * this.#options.random())
    this.#held = token
    this.#renewAtMs = token.expiresAtMs - earlyMs
  }

  async #renewOrKeep(): Promise<string> {
    try {
      return await this.#renew()
    } catch (error) {
      this.#pausedUntilMs = this.#options.now() + PAUSE_MS
      const good = this.#good()
      if (good === null) throw error
      this.#options.log?.warn({ error }, 'token-not-renewed')
      return good
    } finally {
      this.#refused = null
      this.#renewal = null
    }
  }

  /**
   * Takes over a token that another process fetched, or fetches one; only one process at a time where they
   * share a file.
   */
  async #renew(): Promise<string> {
    const { cacheFile } = this.#options
    await this.#takeOver()
    while (!this.#isFresh()) {
      const unlock = cacheFile === null ? async () => {} : await lockCache(cacheFile, Date.now())
      if (unlock === null) {
        // Another process is renewing. A caller with a valid token need not wait for it.
        const good = this.#good()
        if (good !== null && good !== this.#refused) return good
        await sleep(LOCK_POLL_MS)
        await this.#takeOver()
        continue
      }
      try {
        await this.#takeOver()
        if (!this.#isFresh()) await this.#fetch()
        break
      } finally {
        await unlock()
      }
    }
    const good = this.#good()
    if (good === null)
      throw new TransientError(
        `the token of ${this.#options.client.tokenUrl.host} expired before it could be used`,
      )
    return good
  }

  async #takeOver(): Promise<void> {
    const { cacheFile, identity } = this.#options
    const found = cacheFile === null ? null : await readCache(cacheFile)
    const isNewer =
      found !== null && found.obtainedAtMs > (this.#held?.obtainedAtMs ?? Number.NEGATIVE_INFINITY)
    if (isNewer && found.identity === identity) this.#hold(found)
  }

  async #fetch(): Promise<void> {
    const { http, client, refreshToken: configured, identity, now } = this.#options
    const rotated = this.#held?.refreshToken ?? null
    const obtainedAtMs = now()
    const grant = await requestToken(
      http,
      client,
      configured === null ? null : (rotated ?? configured),
      obtainedAtMs,
      untilItEnds,
    )
    const expiresAtMs = obtainedAtMs + grant.lifetimeSeconds * 1000
    const refreshToken = configured === null ? null : (grant.refreshToken ?? rotated)
    this.#hold({ identity, accessToken: grant.accessToken, obtainedAtMs, expiresAtMs, refreshToken })
    await this.#keep()
  }

  /** A token that cannot be cached is still valid: the failure is logged, and the token is used. */
  async #keep(): Promise<void> {
    const { cacheFile, log } = this.#options
    if (cacheFile === null || this.#held === null) return
    await writeCache(cacheFile, this.#held).catch((error: NodeJS.ErrnoException) =>
      log?.warn({ file: cacheFile, reason: error.code }, 'token-file-not-written'),
    )
  }
}

/** A caller that stops waiting does not abort the renewal, since others wait for it. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
    promise.catch(() => {})
  }
}

/**
 * Sessions of signed-in browsers. The session is stored in its cookie, encrypted and without a token of the
 * IAM; the catalogue stores only which sessions were ended. It lasts for eight hours at most. The rights are those
 * of the groups at sign-in, for an hour; then those that the IAM confirmed since, or the right to read alone, so
 * that no page of a shifter goes dark because the IAM is away.
 */
import { randomUUID } from 'node:crypto'
import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { CookieOptions } from 'hono/utils/cookie'
import * as z from 'zod'
import type { Caller } from '../../../shared/access/caller.ts'
import { endSession, isEnded } from '../../../shared/access/ended-sessions.ts'
import { CONFIRMED_MS } from '../../../shared/access/people.ts'
import { parseScope } from '../../../shared/access/scopes.ts'
import type { Context as ServiceContext } from '../../../shared/context.ts'
import { refusal } from '../http/problem.ts'
import type { ConfirmRights } from './confirmed-rights.ts'
import { createSeal, type Seal } from './seal.ts'

/** A caller identified by a cookie, which browsers send automatically: see csrf.ts. */
export interface SignedInCaller extends Caller {
  /** Identifies the session in its forms; not secret by itself. */
  readonly sessionId: string
  /** The rights other than to read are no longer confirmed: the person must sign in for them. */
  readonly isLapsed?: true
}

/** A session whose rights must be confirmed by signing in again. */
export const hasLapsed = (caller: Caller): boolean => isSignedIn(caller) && caller.isLapsed === true

export const isSignedIn = (caller: Caller): caller is SignedInCaller => 'sessionId' in caller

export interface Sessions {
  /**
   * The session of a request; null when it has no valid one.
   * @throws a 503 problem when it cannot be determined whether the session was ended: no one is signed in by
   * assumption.
   */
  find(c: Context): Promise<SignedInCaller | null>
  /** @throws a 403 problem for a person with more scopes than fit into a cookie. */
  begin(c: Context, person: Caller): Promise<void>
  /**
   * Ends the session of the request, also for copies of its cookie.
   * @throws a 503 problem when that cannot be recorded: the browser keeps the cookie, to try again.
   */
  end(c: Context): Promise<void>
}

const SESSION_COOKIE = 'cygnet'
export const SESSION_SECONDS = 8 * 3600
/** Browsers accept 4096 bytes per cookie, name and attributes included, and silently drop a larger one. */
const MOST_COOKIE_BYTES = 3800

const RETRY_AFTER = { 'retry-after': '5' } as const

const seconds = z.int().transform((value) => new Date(value * 1000))
const schema = z.object({
  sub: z.string().startsWith('person:'),
  name: z.string(),
  scopes: z.array(z.string()),
  jti: z.string().min(1),
  iat: seconds,
  exp: seconds,
})

export function createSessions(
  secret: string,
  cookies: SealedCookies,
  { database, log, now }: Pick<ServiceContext<'database'>, 'database' | 'log' | 'now'>,
  confirmRights: ConfirmRights,
): Sessions {
  const seal = createSeal(secret, 'session', now)
  const sessionOf = async (c: Context) => schema.safeParse(await cookies.read(c, SESSION_COOKIE, seal)).data
  const unavailable = (error: unknown, detail: string) => {
    log.error({ error }, 'session-not-checked')
    return refusal(503, detail, RETRY_AFTER)
  }

  async function endOwn(c: Context): Promise<void> {
    const session = await sessionOf(c)
    if (session !== undefined) await endSession(database, session.jti, now(), session.exp)
  }
  return {
    async find(c) {
      const session = await sessionOf(c)
      if (session === undefined) return null
      const { jti: sessionId, sub: subject, name, scopes, iat: begunAt } = session
      const ended = await isEnded(database, { id: sessionId, subject, begunAt }).catch((error) => {
        throw unavailable(error, 'your session cannot be checked now; try again')
      })
      if (ended) return null
      const caller = { kind: 'person', subject, name, sessionId } as const
      if (now().getTime() - begunAt.getTime() < CONFIRMED_MS)
        return { ...caller, scopes, confirmedAt: begunAt }
      const rights = await confirmRights.of(subject).catch((error) => {
        throw unavailable(error, 'your rights cannot be checked now; try again')
      })
      if (rights.kind === 'confirmed') {
        const { scopes: confirmed, confirmedAt } = rights.person
        return { ...caller, scopes: confirmed, confirmedAt }
      }
      const readable = scopes.filter((scope) => parseScope(scope).right === 'read')
      return { ...caller, scopes: readable, confirmedAt: begunAt, isLapsed: true }
    },
    async begin(c, { subject, name, scopes }) {
      await cookies.write(
        c,
        SESSION_COOKIE,
        seal,
        { sub: subject, name, scopes, jti: randomUUID() },
        SESSION_SECONDS,
      )
      // The browser discards its previous session, which no one could end any more.
      await endOwn(c).catch((error) => log.warn({ error }, 'session-not-ended'))
    },
    async end(c) {
      await endOwn(c).catch((error) => {
        throw unavailable(
          error,
          'you are still signed in: the end of your session cannot be recorded now; try again',
        )
      })
      cookies.remove(c, SESSION_COOKIE)
    },
  }
}

/**
 * How our cookies are written: not readable by scripts, and not sent with requests from other sites except
 * when a link is followed.
 */
export interface SealedCookies {
  read(c: Context, name: string, seal: Seal): Promise<object | null>
  write(
    c: Context,
    name: string,
    seal: Seal,
    claims: Readonly<Record<string, unknown>>,
    seconds: number,
  ): Promise<void>
  remove(c: Context, name: string): void
}

/**
 * @param https if true, the name begins with __Host-: then no other host of the domain can have set it, and
 * it is sent only over TLS.
 */
export function createSealedCookies(https: boolean): SealedCookies {
  const common = { path: '/', httpOnly: true, sameSite: 'Lax' } as const
  const attributes: CookieOptions = https ? { ...common, prefix: 'host', secure: true } : common
  return {
    async read(c, name, seal) {
      const text = https ? getCookie(c, name, 'host') : getCookie(c, name)
      return text === undefined ? null : await seal.open(text)
    },
    async write(c, name, seal, claims, seconds) {
      const text = await seal.seal(claims, seconds)
      if (text.length > MOST_COOKIE_BYTES)
        throw refusal(
          403,
          'you have rights for more single tags than fit into a cookie; ask for a role for all tags',
        )
      setCookie(c, name, text, { ...attributes, maxAge: seconds } as CookieOptions)
    },
    remove: (c, name) => void deleteCookie(c, name, attributes),
  }
}

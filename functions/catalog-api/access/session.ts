/**
 * Signed-in browsers: all that is known of a session is in its cookie, encrypted. No table, and no token of the IAM; so a session
 * cannot be ended from here, and what a person may do is what their groups gave when they signed in, for eight hours at the most.
 */
import { randomUUID } from 'node:crypto'
import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { CookieOptions } from 'hono/utils/cookie'
import * as z from 'zod'
import type { Caller } from '../../../shared/access/caller.ts'
import { refusal } from '../problem.ts'
import { createSeal, type Seal } from './seal.ts'

/** Who is known by a cookie, which browsers send along unasked: see csrf.ts. */
export interface SignedInCaller extends Caller {
  /** Names the session in its forms; not secret by itself. */
  readonly sessionId: string
}

export const isSignedIn = (caller: Caller): caller is SignedInCaller => 'sessionId' in caller

export interface Sessions {
  /** The session of a request; null when it has none that is good. */
  find(c: Context): Promise<SignedInCaller | null>
  /** @throws a 403 problem for a person with so many scopes that no cookie can hold them. */
  begin(c: Context, person: Caller): Promise<void>
  end(c: Context): void
}

const SESSION_COOKIE = 'cygnet'
const SESSION_SECONDS = 8 * 3600
/** Browsers keep 4096 bytes of a cookie, name and attributes included, and drop a larger one without a word. */
const MOST_COOKIE_BYTES = 3800

const schema = z.object({ sub: z.string().startsWith('person:'), name: z.string(), scopes: z.array(z.string()), jti: z.string().min(1) })

export function createSessions(secret: string, cookies: SealedCookies, now: () => Date): Sessions {
  const seal = createSeal(secret, 'session', now)
  return {
    async find(c) {
      const session = schema.safeParse(await cookies.read(c, SESSION_COOKIE, seal)).data
      return session === undefined
        ? null
        : { kind: 'person', subject: session.sub, name: session.name, scopes: session.scopes, sessionId: session.jti }
    },
    async begin(c, { subject, name, scopes }) {
      await cookies.write(c, SESSION_COOKIE, seal, { sub: subject, name, scopes, jti: randomUUID() }, SESSION_SECONDS)
    },
    end: (c) => cookies.remove(c, SESSION_COOKIE),
  }
}

/** How cookies of ours are written: out of reach of scripts, and not sent along with what other sites send here but links. */
export interface SealedCookies {
  read(c: Context, name: string, seal: Seal): Promise<object | null>
  write(c: Context, name: string, seal: Seal, claims: Readonly<Record<string, unknown>>, seconds: number): Promise<void>
  remove(c: Context, name: string): void
}

/** @param https with it, the name begins with __Host-: then no other host of the domain can have set it, nor read it without TLS. */
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
        throw refusal(403, 'you have rights for more single tags than a browser can keep; ask for a role for all of them')
      setCookie(c, name, text, { ...attributes, maxAge: seconds } as CookieOptions)
    },
    remove: (c, name) => void deleteCookie(c, name, attributes),
  }
}

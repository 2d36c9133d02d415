/**
 * Browsers also send cookies with requests that other sites cause. So a request that changes something and is
 * authenticated by a cookie must come from one of our pages: the browser states that (Sec-Fetch-Site,
 * Origin), and a form also contains a token of its session.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Context, MiddlewareHandler } from 'hono'
import { refusal } from '../http/problem.ts'
import type { ApiEnvironment } from '../http/route.ts'
import { keyFor } from './seal.ts'
import { isSignedIn, type SignedInCaller } from './session.ts'

/** The name of the hidden field of every form. */
export const CSRF_FIELD = 'csrf'

export interface Csrf {
  /**
   * The token for forms on a page of this session. It differs each time: an attacker who observes how well
   * pages with text of his own compress learns nothing from it (BREACH, https://breachattack.com).
   */
  tokenFor(caller: SignedInCaller): string
  /** Refuses, with 403, requests that another site may have caused. Must run after `authenticate`. */
  readonly protect: MiddlewareHandler<ApiEnvironment>
}

/** Length of HMAC-SHA-256. */
const CODE_BYTES = 32

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']
/**
 * Content types that a form can send. Any other type requires a script, which other sites may not run against
 * us without our permission (CORS).
 */
const FORM_TYPE = /^\s*(?:application\/x-www-form-urlencoded|multipart\/form-data|text\/plain)\s*(?:;|$)/i

/** @param origin of the catalogue as browsers reach it. */
export function createCsrf(secret: string, origin: string): Csrf {
  const key = keyFor(secret, 'csrf')
  const codeOf = ({ sessionId }: SignedInCaller) => createHmac('sha256', key).update(sessionId).digest()
  return {
    tokenFor(caller) {
      const mask = randomBytes(CODE_BYTES)
      return Buffer.concat([mask, xor(codeOf(caller), mask)]).toString('base64url')
    },
    async protect(c, next) {
      const caller = c.get('caller')
      if (!SAFE_METHODS.includes(c.req.method) && isSignedIn(caller)) {
        if (!isSameOrigin(c, origin)) throw refusal(403, 'this request did not come from a page of this site')
        if (isForm(c) && !isSame(codeOf(caller), await fieldOf(c)))
          throw refusal(403, 'this form does not belong to your session; reload the page and submit it again')
      }
      await next()
    },
  }
}

/**
 * Origin provides the same information in browsers without Sec-Fetch-Site (before 2023). A request without
 * either may come from anywhere.
 */
function isSameOrigin(c: Context, origin: string): boolean {
  const site = c.req.header('sec-fetch-site')
  return site === undefined ? c.req.header('origin') === origin : site === 'same-origin'
}

const isForm = (c: Context): boolean => FORM_TYPE.test(c.req.header('content-type') ?? '')

/**
 * Refuses, with 400, a malformed form, which would otherwise look like our error. The parsed form is kept for
 * the handler.
 */
export const readableForms: MiddlewareHandler = async (c, next) => {
  if (!SAFE_METHODS.includes(c.req.method) && isForm(c))
    await c.req.parseBody().catch(() => {
      throw refusal(400, 'this form cannot be read')
    })
  await next()
}

async function fieldOf(c: Context): Promise<string> {
  const form: Readonly<Record<string, unknown>> = await c.req.parseBody().catch(() => ({}))
  const value = form[CSRF_FIELD]
  return typeof value === 'string' ? value : ''
}

function isSame(code: Buffer, token: string): boolean {
  const bytes = Buffer.from(token, 'base64url')
  if (bytes.length !== 2 * CODE_BYTES) return false
  return timingSafeEqual(code, xor(bytes.subarray(CODE_BYTES), bytes.subarray(0, CODE_BYTES)))
}

/** XOR of two buffers of the same length. */
const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)))

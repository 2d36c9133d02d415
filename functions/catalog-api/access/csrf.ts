/**
 * Browsers send cookies along with whatever another site makes them send. So what changes something, and is
 * known by a cookie, must come from a page of ours: the browser says so (Sec-Fetch-Site, Origin), and a form
 * also carries a token of its session.
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
   * For the forms on a page of this session. Another text each time: who watches how well pages with text of
   * his own compress learns nothing from it (BREACH, https://breachattack.com).
   */
  tokenFor(caller: SignedInCaller): string
  /** Refuses, with 403, what another site could have sent. To be used after `authenticate`. */
  readonly protect: MiddlewareHandler<ApiEnvironment>
}

/** Of HMAC-SHA-256. */
const CODE_BYTES = 32

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']
/**
 * What a form can be sent as. Anything else a page sends by a script, which another site's may not without
 * our leave (CORS).
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
        if (!isFromHere(c, origin)) throw refusal(403, 'this did not come from a page of this site')
        if (isForm(c) && !isSame(codeOf(caller), await fieldOf(c)))
          throw refusal(403, 'this form is not of your session; load the page again and repeat it')
      }
      await next()
    },
  }
}

/**
 * Origin tells the same where a browser (before 2023) has no Sec-Fetch-Site. Without either it may have come
 * from anywhere.
 */
function isFromHere(c: Context, origin: string): boolean {
  const site = c.req.header('sec-fetch-site')
  return site === undefined ? c.req.header('origin') === origin : site === 'same-origin'
}

const isForm = (c: Context): boolean => FORM_TYPE.test(c.req.header('content-type') ?? '')

/**
 * Refuses, with 400, a form that is none: else it would seem to be our fault. What it holds is kept for the
 * handler.
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

/** Of two texts of the same length. */
const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)))

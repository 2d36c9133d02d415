/** What every answer tells a browser: run, load, frame and keep nothing but what a page of ours needs. */
import type { MiddlewareHandler } from 'hono'
import { secureHeaders } from 'hono/secure-headers'

const YEAR_SECONDS = 365 * 86_400

/**
 * @param https whether browsers reach us so; only then may they be told never to come otherwise.
 * @param issuerOrigin where the form that signs out leads on to.
 */
export function securityHeaders(options: {
  readonly https: boolean
  readonly issuerOrigin: string | null
}): MiddlewareHandler {
  const headers = secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      fontSrc: ["'self'"],
      connectSrc: ["'self'"],
      formAction: ["'self'", ...(options.issuerOrigin === null ? [] : [options.issuerOrigin])],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
    },
    strictTransportSecurity: options.https ? `max-age=${YEAR_SECONDS}` : false,
    // Not no-referrer: with it, browsers send `Origin: null` with our own forms, which csrf.ts could not tell
    // from others'.
    referrerPolicy: 'same-origin',
    xFrameOptions: 'DENY',
    crossOriginOpenerPolicy: 'same-origin',
    crossOriginResourcePolicy: 'same-origin',
    permissionsPolicy: { camera: [], geolocation: [], microphone: [], payment: [], usb: [] },
  })
  return async (c, next) => {
    let own: string | null = null
    await headers(c, async () => {
      await next()
      own = c.res.headers.get('content-security-policy')
    })
    // Of two policies browsers keep both: a route may allow less than pages need, never more.
    if (own !== null) c.header('content-security-policy', own, { append: true })
    const { headers: answer } = c.res
    // A route says so itself when its answer may be kept. What gives or takes a cookie is for one browser
    // alone.
    if (!answer.has('cache-control') || answer.has('set-cookie')) c.header('cache-control', 'no-store')
    else c.header('vary', 'Authorization, Cookie', { append: true })
    // Nobody reads it: a stream would wait for its reader for ever.
    if (c.req.method === 'HEAD') await c.res.body?.cancel()
  }
}

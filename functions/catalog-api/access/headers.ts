/** Security headers of every answer: a browser may run, load, frame and cache only what our pages need. */
import type { MiddlewareHandler } from 'hono'
import { secureHeaders } from 'hono/secure-headers'

const YEAR_SECONDS = 365 * 86_400

/**
 * @param https whether browsers reach us by https; only then may they be told to use nothing else.
 * @param issuerOrigin to which the sign-out form redirects.
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
    // Not no-referrer: with it, browsers send `Origin: null` with our own forms, which csrf.ts could not
    // distinguish from those of other sites.
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
    // Of two policies browsers apply both: a route may allow less than pages need, but not more.
    if (own !== null) c.header('content-security-policy', own, { append: true })
    const { headers: answer } = c.res
    // A route that may be cached sets its own header. An answer that sets or removes a cookie is for one
    // browser only.
    if (!answer.has('cache-control') || answer.has('set-cookie')) c.header('cache-control', 'no-store')
    else c.header('vary', 'Authorization, Cookie', { append: true })
    // A body that is not read would stay open: a stream waits for its reader.
    if (c.req.method === 'HEAD') await c.res.body?.cancel()
  }
}

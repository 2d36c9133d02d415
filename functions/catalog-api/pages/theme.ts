/**
 * Light, dark for the underground, or the browser's setting. Stored in a cookie, so that no page first
 * appears in another theme.
 */
import { getCookie, setCookie } from 'hono/cookie'
import * as z from 'zod'
import { safePath } from '../access/safe-path.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'

export const THEMES = ['system', 'light', 'underground'] as const
export type Theme = (typeof THEMES)[number]

const COOKIE = 'theme'
const YEAR_SECONDS = 365 * 86_400

const theme = z.enum(THEMES)
const form = z.object({ theme: theme.catch('system'), to: z.string().catch('/') })

export const themeOf = (c: ApiContext): Theme => theme.catch('system').parse(getCookie(c, COOKIE))

export function registerTheme(api: Api): void {
  addPage(api, 'POST', '/theme', { open: true }, async (c) => {
    const wanted = form.parse(await c.req.parseBody())
    setCookie(c, COOKIE, wanted.theme, { path: '/', maxAge: YEAR_SECONDS, sameSite: 'Lax', httpOnly: true })
    return c.redirect(safePath(wanted.to), 303)
  })
}

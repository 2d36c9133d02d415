/** Problems as people read them: in place of JSON, for a browser that wanted to see a page. */
import type { MiddlewareHandler } from 'hono'
import { html } from 'hono/html'
import * as z from 'zod'
import type { ApiEnvironment } from '../route.ts'
import { PAGE_STATUSES, type Page, renderPage } from './layout.ts'
import type { PageOptions } from './options.ts'
import { NOTHING } from './parts.ts'

const problem = z.object({ title: z.string(), detail: z.string() })

export function problemPages(options: PageOptions): MiddlewareHandler<ApiEnvironment> {
  return async (c, next) => {
    await next()
    const wantsPage = (c.req.header('accept') ?? '').includes('text/html') && !c.req.path.startsWith('/api/')
    if (!wantsPage || c.res.headers.get('content-type') !== 'application/problem+json') return
    const told = problem.safeParse(await c.res.clone().json()).data
    if (told === undefined) return
    const status = statusOf(c.res.status)
    const signIn = status === 401 && options.browser !== null ? html`<p><a href="/sign-in">Sign in</a></p>` : NOTHING
    // What the problem had in its headers besides the type stays.
    c.res = await renderPage(c, options, {
      title: told.title,
      status,
      body: html`<div class="title"><h1>${told.title}</h1></div><p class="notice bad">${told.detail}</p>${signIn}<p><a href="/">To the start</a></p>`,
    })
  }
}

const statusOf = (status: number): NonNullable<Page['status']> => PAGE_STATUSES.find((known) => known === status) ?? 500

/** Problems as people read them: in place of JSON, for a browser that wanted to see a page. */
import type { MiddlewareHandler } from 'hono'
import { html } from 'hono/html'
import * as z from 'zod'
import { isSignedIn } from '../access/session.ts'
import type { ApiContext, ApiEnvironment } from '../http/route.ts'
import { here, PAGE_STATUSES, type Page, renderPage } from './layout.ts'
import type { PageOptions } from './options.ts'
import { type Html, NOTHING } from './parts.ts'

const problem = z.object({ title: z.string(), detail: z.string() })

/** True for a browser that is to show what it gets; a program reads problems. */
export const wantsPage = (c: ApiContext): boolean =>
  (c.req.header('accept') ?? '').includes('text/html') && !c.req.path.startsWith('/api/')

export function problemPages(options: PageOptions): MiddlewareHandler<ApiEnvironment> {
  return async (c, next) => {
    await next()
    if (!wantsPage(c) || c.res.headers.get('content-type') !== 'application/problem+json') return
    const told = problem.safeParse(await c.res.clone().json()).data
    if (told === undefined) return
    const status = statusOf(c.res.status)
    // What the problem had in its headers besides the type stays.
    c.res = await renderPage(c, options, {
      title: told.title,
      status,
      body: html`<div class="title"><h1>${told.title}</h1></div><p class="notice bad">${told.detail}</p>${whatNow(c, options, status)}<p><a href="/">To the start</a></p>`,
    })
  }
}

function whatNow(c: ApiContext, { browser }: PageOptions, status: number): Html {
  if (status === 401)
    return browser === null
      ? html`<p>Nobody can sign in here with a browser: no IAM is configured.</p>`
      : html`<p><a href="/sign-in?to=${encodeURIComponent(here(c))}">Sign in</a>, and come back to where you were.</p>`
  const caller = c.get('caller')
  return status === 403 && isSignedIn(caller)
    ? html`<p>You are signed in as ${caller.name}. Rights come with the groups that one has in the IAM: when they have changed, sign out and in again.</p>`
    : NOTHING
}

const statusOf = (status: number): NonNullable<Page['status']> =>
  PAGE_STATUSES.find((known) => known === status) ?? 500

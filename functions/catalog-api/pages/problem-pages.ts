/** Problem details shown as a page instead of JSON, for a browser that requested a page. */
import type { MiddlewareHandler } from 'hono'
import { html } from 'hono/html'
import * as z from 'zod'
import { isSignedIn } from '../access/session.ts'
import type { ApiContext, ApiEnvironment } from '../http/route.ts'
import { currentPath, PAGE_STATUSES, type Page, renderPage } from './layout.ts'
import type { PageOptions } from './options.ts'
import { type Html, NOTHING } from './parts.ts'

const problem = z.object({ title: z.string(), detail: z.string() })

/** Whether the request comes from a browser that shows the answer as a page. */
export const wantsPage = (c: ApiContext): boolean =>
  (c.req.header('accept') ?? '').includes('text/html') && !c.req.path.startsWith('/api/')

export function problemPages(options: PageOptions): MiddlewareHandler<ApiEnvironment> {
  return async (c, next) => {
    await next()
    if (!wantsPage(c) || c.res.headers.get('content-type') !== 'application/problem+json') return
    const found = problem.safeParse(await c.res.clone().json()).data
    if (found === undefined) return
    const status = statusOf(c.res.status)
    // Headers of the problem other than the type are kept.
    c.res = await renderPage(c, options, {
      title: found.title,
      status,
      body: html`<div class="title"><h1>${found.title}</h1></div><p class="notice bad">${found.detail}</p>${adviceFor(c, options, status)}<p><a href="/">To the start</a></p>`,
    })
  }
}

function adviceFor(c: ApiContext, { browser }: PageOptions, status: number): Html {
  if (status === 401)
    return browser === null
      ? html`<p>Signing in with a browser is not possible here: no IAM is configured.</p>`
      : html`<p><a href="/sign-in?to=${encodeURIComponent(currentPath(c))}">Sign in</a>; you then return to this page.</p>`
  const caller = c.get('caller')
  return status === 403 && isSignedIn(caller)
    ? html`<p>You are signed in as ${caller.name}. Your rights follow from your groups in the IAM: after a change of groups, sign out and sign in again.</p>`
    : NOTHING
}

const statusOf = (status: number): NonNullable<Page['status']> =>
  PAGE_STATUSES.find((known) => known === status) ?? 500

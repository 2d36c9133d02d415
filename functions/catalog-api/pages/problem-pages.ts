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
    const title = TITLES[status] ?? found.title
    // Headers of the problem other than the type are kept.
    c.res = await renderPage(c, options, {
      title,
      status,
      body: html`<div class="title"><h1>${title}</h1></div>${status === 401 ? NOTHING : html`<p class="notice bad">${found.detail}</p>`}${adviceFor(c, options, status)}`,
    })
  }
}

/** For people; programs read the titles of the statuses. */
const TITLES: Readonly<Partial<Record<number, string>>> = {
  400: 'This request was not understood',
  401: 'Please sign in',
  403: 'Not allowed',
  404: 'Not found',
  429: 'Too many requests',
  500: 'This failed',
  503: 'Not available now',
}

function adviceFor(c: ApiContext, { browser }: PageOptions, status: number): Html {
  if (status === 401)
    return browser === null
      ? html`<p>This page is only for signed-in people, and signing in with a browser is not possible here: no IAM is configured.</p>`
      : html`<p>This page is only for signed-in people.</p><p><a class="main" href="/sign-in?to=${encodeURIComponent(currentPath(c))}">Sign in</a> You then return to this page.</p>`
  const caller = c.get('caller')
  const rights =
    status === 403 && isSignedIn(caller)
      ? html`<p>You are signed in as ${caller.name}. Your rights follow from your groups in the IAM: after a change of groups, sign out and sign in again.</p>`
      : NOTHING
  return html`${rights}<p><a href="/">To the start</a> · <a href="/runs">Runs</a></p>`
}

const statusOf = (status: number): NonNullable<Page['status']> =>
  PAGE_STATUSES.find((known) => known === status) ?? 500

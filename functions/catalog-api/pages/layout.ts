/**
 * The frame of every page: navigation, sign-in state, theme. Its content security policy is in
 * access/headers.ts.
 */
import { html } from 'hono/html'
import { mayDo, tagsAllowed } from '../../../shared/access/caller.ts'
import { EVERY_TAG } from '../../../shared/access/scopes.ts'
import { isTag } from '../../../shared/run.ts'
import { CSRF_FIELD } from '../access/csrf.ts'
import { safePath } from '../access/safe-path.ts'
import { hasLapsed } from '../access/session.ts'
import type { ApiContext } from '../http/route.ts'
import { assetUrl } from './assets/assets.ts'
import { csrfTokenOf, type PageOptions } from './options.ts'
import { type Html, NOTHING } from './parts.ts'
import { THEMES, themeOf } from './theme.ts'

export const JUMP_PATH = '/jump'

export const PAGE_STATUSES = [200, 400, 401, 403, 404, 405, 413, 429, 500, 503] as const

export interface Page {
  readonly title: string
  readonly body: Html
  /** Modules in addition to page.js. */
  readonly scripts?: readonly string[]
  /** Style sheets in addition to style.css. */
  readonly styles?: readonly string[]
  readonly status?: (typeof PAGE_STATUSES)[number]
}

export function renderPage(
  c: ApiContext,
  options: PageOptions,
  { title, body, scripts = [], styles = [], status = 200 }: Page,
) {
  const theme = themeOf(c)
  const token = csrfTokenOf(c, options)
  const document = html`<!doctype html>
<html lang="en" data-theme="${theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · Cygnet</title>
<link rel="icon" type="image/svg+xml" href="${assetUrl('favicon.svg')}">
${['style.css', 'frame.css', ...styles].map((name) => html`<link rel="stylesheet" href="${assetUrl(name)}">\n`)}
<script type="module" src="${assetUrl('page.js')}"></script>
${scripts.map(scriptTag)}
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header class="top">
<a class="brand" href="/"><img src="${assetUrl('favicon.svg')}" alt="" width="24" height="24">Cygnet</a>
${jumpForm(c)}
${menu(navigation(c), signInStatus(c, options, token))}
</header>
<main id="content" tabindex="-1">
${body}
</main>
<footer><p>Times are UTC. <a href="/api/v1">API</a> · <a href="/python">Python and ROOT</a></p>${themeForm(c, theme, token)}</footer>
</body>
</html>`
  return c.html(document, status, { 'cache-control': 'no-store' })
}

const scriptTag = (name: string): Html => html`<script type="module" src="${assetUrl(name)}"></script>\n`

/** On a phone behind a button, unless there is nothing but the sign-in. */
const menu = (pages: Html, who: Html): Html =>
  pages === NOTHING
    ? who
    : html`<button type="button" class="menu" popovertarget="menu">Menu</button>
<div id="menu" popover>
${pages}
${who}
</div>`

/** The pages that the caller may open. */
function navigation(c: ApiContext): Html {
  const caller = c.get('caller')
  if (tagsAllowed(caller, 'read').length === 0) return NOTHING
  const links = [
    ['/', 'Now'],
    ['/runs', 'Runs'],
    ['/replicas', 'Replicas'],
    ...(mayDo(caller, 'operate', EVERY_TAG) ? [['/queues', 'Queues']] : []),
  ] as const
  const isHere = (path = '') =>
    path === '/' ? c.req.path === '/' : c.req.path === path || c.req.path.startsWith(`${path}/`)
  return html`<nav aria-label="Pages"><ul class="choices">
${links.map(([path, name]) => html`<li><a href="${path}"${isHere(path) ? html` aria-current="page"` : ''}>${name}</a></li>\n`)}
</ul></nav>`
}

/** Leads to a run, a tag or a file from any page; `/` focuses it. On pages of one tag, numbers are its runs. */
function jumpForm(c: ApiContext): Html {
  if (tagsAllowed(c.get('caller'), 'read').length === 0) return NOTHING
  const tag = c.req.path.startsWith('/runs')
    ? (c.req.param('tag') ?? c.req.query('tag') ?? '')
    : c.req.query('tag')
  const isChosen = tag !== undefined && isTag(tag)
  const shown = c.req.path === JUMP_PATH ? (c.req.query('q') ?? '') : ''
  return html`<form method="get" action="${JUMP_PATH}" class="jump" role="search" aria-label="Jump">
<input type="search" name="q" value="${shown}" maxlength="1100" aria-label="Jump to a run, a tag or a file" aria-keyshortcuts="/" placeholder="Run, tag or file" autocapitalize="off" autocomplete="off" spellcheck="false"><kbd aria-hidden="true">/</kbd>
${isChosen ? html`<input type="hidden" name="tag" value="${tag}">` : NOTHING}</form>`
}

const THEME_NAMES = { system: 'System', light: 'Light', underground: 'Underground' } as const

const themeForm = (
  c: ApiContext,
  current: string,
  token: string | null,
): Html => html`<form method="post" action="/theme" class="theme">
<fieldset><legend class="unseen">Colours</legend>
${csrfField(token)}<input type="hidden" name="to" value="${currentPath(c)}">
${THEMES.map((theme) => html`<button name="theme" value="${theme}" aria-pressed="${String(theme === current)}">${THEME_NAMES[theme]}</button>\n`)}
</fieldset></form>`

/** The address to return to: that of the page, or of the page whose form was submitted. */
export function currentPath(c: ApiContext): string {
  const url = URL.parse(c.req.method === 'GET' ? c.req.url : (c.req.header('referer') ?? ''))
  return url === null ? '/' : safePath(`${url.pathname}${url.search}`)
}

function signInStatus(c: ApiContext, options: PageOptions, token: string | null): Html {
  const caller = c.get('caller')
  if (caller.kind === 'anonymous')
    return options.browser !== null
      ? html`<p class="who"><a href="/sign-in?to=${encodeURIComponent(currentPath(c))}">Sign in</a></p>`
      : NOTHING
  return html`<form method="post" action="/sign-out" class="who">${csrfField(token)}${personLinks(c)} <button>Sign out</button></form>`
}

/** The name leads to the own tokens; a session whose rights lapsed is offered a sign-in. */
function personLinks(c: ApiContext): Html {
  const caller = c.get('caller')
  if (hasLapsed(caller))
    return html`<span>${caller.name}</span> <a href="/sign-in?to=${encodeURIComponent(currentPath(c))}">Confirm your rights</a>`
  return caller.kind === 'person'
    ? html`<a href="/tokens" title="Your tokens"${c.req.path === '/tokens' ? html` aria-current="page"` : ''}>${caller.name}</a>`
    : html`<span>${caller.name}</span>`
}

/** The hidden field of every form that changes something. */
export const csrfField = (token: string | null): Html =>
  token === null ? NOTHING : html`<input type="hidden" name="${CSRF_FIELD}" value="${token}">`

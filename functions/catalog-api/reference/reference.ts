/** The OpenAPI document, and the reference built from it: one page without scripts. */
import type { Handler } from 'hono'
import { html } from 'hono/html'
import { tagged } from '../http/etag.ts'
import { type Api, type ApiEnvironment, addPage } from '../http/route.ts'
import { anchorOf, type Html, operationSection, paragraphs, typeOf } from './operation.ts'
import type { Named, Operation, Schema, Schemas } from './schema.ts'

const REFERENCE_PATH = '/api/v1'
const STYLE_PATH = '/api/v1/reference.css'
const DESCRIPTION_PATH = '/api/v1/openapi.json'

export const API_INFO = {
  title: 'Cygnet',
  version: '1',
  description: `The catalogue of runs: find them, learn where their copies are, and get links to their files.

Send an API token or a token of the IAM as \`Authorization: Bearer …\`; what is open to everyone needs none. Times are ISO 8601 in UTC. A tag that contains a slash is written with %2F in a path. A refusal is an RFC 9457 problem, whose \`detail\` is a sentence for people. Answers with an ETag need not be sent again: ask with If-None-Match. RateLimit headers state how many requests are left.`,
} as const

interface Description {
  readonly info: { readonly title: string; readonly description?: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components?: { readonly schemas?: Schemas }
}

/**
 * Adds the description, its page and the style sheet. All routes that they show must be added before the
 * first request for them.
 */
export function registerReference(api: Api): void {
  const describe = () => api.app.getOpenAPI31Document({ openapi: '3.1.0', info: API_INFO })
  const open = { open: true } as const
  addPage(
    api,
    'GET',
    DESCRIPTION_PATH,
    open,
    cachedPage('application/json', () => JSON.stringify(describe())),
  )
  addPage(
    api,
    'GET',
    REFERENCE_PATH,
    open,
    cachedPage('text/html; charset=UTF-8', () => render(describe() as unknown as Description)),
  )
  addPage(
    api,
    'GET',
    STYLE_PATH,
    open,
    cachedPage('text/css; charset=utf-8', () => REFERENCE_STYLE),
  )
}

/** The same for all callers until the service is updated: may be cached, with revalidation each time. */
function cachedPage(type: string, make: () => Html | string): Handler<ApiEnvironment> {
  let text: string | null = null
  return async (c) => {
    text ??= String(await make())
    return tagged(c, text, { 'content-type': type, 'cache-control': 'public, no-cache' })
  }
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete']

function render({ info, paths, components }: Description): Html {
  const schemas = components?.schemas ?? {}
  const operations = Object.entries(paths).flatMap(([path, item]): readonly Named[] =>
    Object.entries(item).flatMap(([method, operation]) =>
      METHODS.includes(method) ? [{ method, path, operation }] : [],
    ),
  )
  const groups = [...Map.groupBy(operations, ({ operation }) => operation.tags?.[0] ?? 'Others')]
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API · ${info.title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${STYLE_PATH}">
</head>
<body>
<header><h1>${info.title}: the API</h1>
${paragraphs(info.description)}
<p><a href="/">The catalogue's pages</a> · <a href="${DESCRIPTION_PATH}">This description as OpenAPI</a></p></header>
<nav aria-label="Routes">${groups.map(([group, own]) => html`<h2>${group}</h2>${contents(own)}`)}</nav>
<main>
${groups.map(([group, own]) => html`<h2>${group}</h2>\n${own.map((named) => operationSection(named, schemas))}`)}
<h2>Schemas</h2>
${Object.entries(schemas).map(([name, schema]) => schemaSection(name, schema))}
</main>
</body>
</html>`
}

const contents = (operations: readonly Named[]): Html =>
  html`<ul>${operations.map(
    (named) =>
      html`<li><a href="#${anchorOf(named)}"><code>${named.method.toUpperCase()} ${named.path}</code></a> ${named.operation.summary ?? ''}</li>\n`,
  )}</ul>`

function schemaSection(name: string, schema: Schema): Html {
  const properties = Object.entries(schema.properties ?? {})
  return html`<section id="schema-${name}" aria-labelledby="schema-${name}-title"><h3 id="schema-${name}-title">${name}</h3>
${schema.description === undefined ? '' : html`<p>${schema.description}</p>`}
${
  properties.length === 0
    ? html`<p>${typeOf(schema)}</p>`
    : html`<div class="wide"><table><thead><tr><th scope="col">Field</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead><tbody>
${properties.map(([field, of]) => html`<tr><th scope="row"><code>${field}</code></th><td>${typeOf(of)}</td><td>${of.description ?? ''}</td></tr>\n`)}</tbody></table></div>`
}</section>
`
}

/** The style of the reference: the reader's fonts, light or dark as in the reader's system. */
const REFERENCE_STYLE = `:root { color-scheme: light dark; --line: light-dark(#ccd3d9, #3a424a); --soft: light-dark(#f2f4f6, #20262c); }
body { margin: 0 auto; max-width: 70rem; padding: 1rem 1.25rem 4rem; font: 1rem/1.5 system-ui, sans-serif;
  color: light-dark(#16202a, #dde3e8); background: light-dark(#fff, #14191e); }
a { color: light-dark(#0b57a4, #8ec5ff); }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
h3 { margin-top: 2rem; }
code, pre { font: 0.9em ui-monospace, monospace; overflow-wrap: anywhere; }
pre { padding: 0.75rem; overflow: auto; background: var(--soft); border: 1px solid var(--line); border-radius: 4px; max-height: 24rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 0.75rem 0; }
caption { text-align: start; font-weight: 600; }
th, td { text-align: start; vertical-align: top; padding: 0.3rem 0.75rem 0.3rem 0; border-bottom: 1px solid var(--line); font-weight: normal; }
thead th { font-weight: 600; }
nav ul { columns: 22rem; padding-inline-start: 1.2rem; }
summary { cursor: pointer; padding: 0.25rem 0; }
`

/** The OpenAPI document, and the reference built from it: a page of the site that works without scripts. */
import { html, raw } from 'hono/html'
import { tagged } from '../http/etag.ts'
import { type Api, addPage } from '../http/route.ts'
import { renderPage } from '../pages/layout.ts'
import type { PageOptions } from '../pages/options.ts'
import { type Html, withCode } from '../pages/parts.ts'
import { anchorOf, groupAnchor, operationSection, paragraphs, typeOf } from './operation.ts'
import type { Named, Operation, Schema, Schemas } from './schema.ts'

const REFERENCE_PATH = '/api/v1'
const DESCRIPTION_PATH = '/api/v1/openapi.json'

export const API_INFO = {
  title: 'Cygnet',
  version: '1',
  description: `The catalogue of runs: find them, learn where their copies are, and get links to their files.

Send an API token or a token of the IAM as \`Authorization: Bearer …\`; what is open to everyone needs none. Times are ISO 8601 in UTC. A tag that contains a slash is written with \`%2F\` in a path. A refusal is an RFC 9457 problem, whose \`detail\` is a sentence for people. Answers with an ETag need not be sent again: ask with \`If-None-Match\`. RateLimit headers state how many requests are left.`,
} as const

interface Description {
  readonly info: { readonly title: string; readonly description?: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components?: { readonly schemas?: Schemas }
}

/** Adds the document and its page. All routes that they show must be added before the first request for them. */
export function registerReference(api: Api, options: PageOptions): void {
  const describe = () => api.app.getOpenAPI31Document({ openapi: '3.1.0', info: API_INFO })
  const open = { open: true } as const
  let document: string | null = null
  addPage(api, 'GET', DESCRIPTION_PATH, open, (c) => {
    document ??= JSON.stringify(describe())
    // The same for all callers until the service is updated: may be cached, with revalidation each time.
    return tagged(c, document, { 'content-type': 'application/json', 'cache-control': 'public, no-cache' })
  })
  let body: string | null = null
  addPage(api, 'GET', REFERENCE_PATH, open, async (c) => {
    body ??= String(await render(describe() as unknown as Description))
    return renderPage(c, options, { title: 'API', body: raw(body), styles: ['reference.css'] })
  })
}

/** What few readers come for. */
const LAST_GROUPS = ['Uploads', 'Access', 'Health']
const METHODS = ['get', 'post', 'put', 'patch', 'delete']

function render({ info, paths, components }: Description): Html {
  const schemas = components?.schemas ?? {}
  const operations = Object.entries(paths).flatMap(([path, item]): readonly Named[] =>
    Object.entries(item).flatMap(([method, operation]) =>
      METHODS.includes(method) ? [{ method, path, operation }] : [],
    ),
  )
  const groups = [...Map.groupBy(operations, ({ operation }) => operation.tags?.[0] ?? 'Others')].toSorted(
    ([a], [b]) => LAST_GROUPS.indexOf(a) - LAST_GROUPS.indexOf(b),
  )
  return html`<div class="reference">
<nav aria-label="Routes" class="index"><ul>
${groups.map(([group, own]) => html`<li><a href="#${groupAnchor(group)}">${group}</a>${contents(own)}</li>\n`)}
<li><a href="#schemas">Schemas</a></li></ul></nav>
<div class="operations"><div class="title"><h1>API</h1><p><a href="${DESCRIPTION_PATH}">OpenAPI document</a> · <a href="/python">Python and ROOT</a></p></div>
${paragraphs(info.description)}
${groups.map(
  ([
    group,
    own,
  ]) => html`<section class="group" aria-labelledby="${groupAnchor(group)}"><h2 id="${groupAnchor(group)}">${group}</h2>
${own.map((named) => operationSection(named, schemas))}</section>`,
)}
<section class="group" aria-labelledby="schemas"><h2 id="schemas">Schemas</h2>
${Object.entries(schemas).map(([name, schema]) => schemaSection(name, schema))}</section>
</div></div>`
}

const contents = (operations: readonly Named[]): Html =>
  html`<ul>${operations.map(
    (named) =>
      html`<li><a href="#${anchorOf(named)}" title="${named.operation.summary ?? ''}"><b class="${named.method}">${named.method.toUpperCase()}</b> <span>${named.path.replace('/api/v1', '')}</span></a></li>\n`,
  )}</ul>`

/** A link to what is folded unfolds it: the browser opens the element around its target. */
function schemaSection(name: string, schema: Schema): Html {
  const properties = Object.entries(schema.properties ?? {})
  return html`<details class="schema"><summary><code>${name}</code></summary><div id="schema-${name}">
${paragraphs(schema.description)}
${
  properties.length === 0
    ? html`<p>${typeOf(schema)}</p>`
    : html`<dl class="terms">
${properties.map(([field, of]) => html`<div><dt><code>${field}</code> <span class="quiet">${typeOf(of)}</span></dt><dd>${withCode(of.description ?? '')}</dd></div>\n`)}</dl>`
}</div></details>
`
}

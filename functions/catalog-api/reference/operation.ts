/** One operation of the API as HTML: purpose, parameters, answers. */
import { html } from 'hono/html'
import {
  type Content,
  exampleOf,
  type Named,
  type Operation,
  type Parameter,
  type Schema,
  type Schemas,
  typeParts,
} from './schema.ts'

export type Html = ReturnType<typeof html>

/** The id of its section: `get-api-v1-runs`. */
export const anchorOf = ({ method, path }: Named): string =>
  `${method}${path.replaceAll(/[^a-z0-9]+/gi, '-')}`.replace(/-$/, '')

export const typeOf = (schema: Schema): readonly (Html | string)[] =>
  typeParts(schema).map((part) =>
    typeof part === 'string' ? part : html`<a href="#schema-${part.schema}">${part.schema}</a>`,
  )

export const paragraphs = (text: string | undefined): readonly Html[] =>
  (text ?? '').split(/\n\n+/).flatMap((paragraph) => (paragraph === '' ? [] : [html`<p>${paragraph}</p>\n`]))

export const operationSection = (named: Named, schemas: Schemas): Html => {
  const { method, path, operation } = named
  return html`<section id="${anchorOf(named)}" aria-labelledby="${anchorOf(named)}-title">
<h3 id="${anchorOf(named)}-title"><code><b>${method.toUpperCase()}</b> ${path}</code></h3>
<p>${operation.summary ?? ''}${operation.security === undefined ? ' (open to everyone)' : ''}</p>
${paragraphs(operation.description)}
${parameterTables(operation.parameters ?? [])}
${operation.requestBody === undefined ? '' : body(operation.requestBody.content, schemas)}
<pre tabindex="0">${curlLine(named, schemas)}</pre>
${responseTable(operation, schemas)}
</section>
`
}

/**
 * A curl command with the environment variables of the Python page, built from the examples in the schemas:
 * path parameters, required query parameters, and the body if there is one.
 */
function curlLine({ method, path, operation }: Named, schemas: Schemas): string {
  const { parameters = [], requestBody, security } = operation
  const example = ({ schema = {} }: Parameter) => String(exampleOf(schema, schemas))
  const place = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const parameter = parameters.find((each) => each.in === 'path' && each.name === name)
    return parameter === undefined ? name : encodeURI(example(parameter))
  })
  const needed = parameters.filter((each) => each.in === 'query' && each.required === true)
  const query = needed.map((each) => `${each.name}=${encodeURIComponent(example(each))}`).join('&')
  const json = requestBody?.content['application/json']?.schema
  const body =
    json === undefined
      ? ''
      : ` \\\n  -H 'Content-Type: application/json' -d '${JSON.stringify(exampleOf(json, schemas))}'`
  const request = method === 'get' || (method === 'post' && body !== '') ? '' : ` -X ${method.toUpperCase()}`
  const who = security === undefined ? '' : ' -H "Authorization: Bearer $CYGNET_API_TOKEN"'
  return `curl${request}${who} "$CYGNET_API_URL${place}${query === '' ? '' : `?${query}`}"${body}`
}

/** There is one per run parameter: they are folded. */
const RUN_PARAMETER = /^param\./

function parameterTables(parameters: readonly Parameter[]): Html {
  const [many, usual] = [
    parameters.filter(({ name }) => RUN_PARAMETER.test(name)),
    parameters.filter(({ name }) => !RUN_PARAMETER.test(name)),
  ]
  return html`${parameterTable(usual)}${many.length === 0 ? '' : html`<details><summary>${many.length} run parameters</summary>${parameterTable(many)}</details>`}`
}

const parameterTable = (parameters: readonly Parameter[]): Html =>
  parameters.length === 0
    ? html``
    : html`<div class="wide"><table><caption>Parameters</caption><thead><tr><th scope="col">Name</th><th scope="col">In</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead><tbody>
${parameters.map(
  ({ name, in: place, required, schema = {}, description }) =>
    html`<tr><th scope="row"><code>${name}</code>${required === true ? ' *' : ''}</th><td>${place}</td><td>${typeOf(schema)}</td><td>${description ?? schema.description ?? ''}</td></tr>\n`,
)}</tbody></table></div>`

const body = (content: Content, schemas: Schemas): readonly Html[] =>
  Object.entries(content).map(
    ([type, { schema = {} }]) =>
      html`<p>Body, <code>${type}</code>: ${typeOf(schema)}</p>\n${example(schema, schemas)}`,
  )

function responseTable({ responses = {} }: Operation, schemas: Schemas): Html {
  const rows = Object.entries(responses)
  const [, success] = rows.find(([status]) => status.startsWith('2')) ?? []
  const [, { schema = undefined } = {}] =
    Object.entries(success?.content ?? {}).find(([type]) => type === 'application/json') ?? []
  return html`<div class="wide"><table><caption>Answers</caption><thead><tr><th scope="col">Status</th><th scope="col">Meaning</th><th scope="col">Body</th></tr></thead><tbody>
${rows.map(
  ([status, { description, content = {} }]) =>
    html`<tr><th scope="row">${status}</th><td>${description ?? ''}</td><td>${Object.entries(content).map(([type, { schema: of = {} }]) => html`<div><code>${type}</code> ${typeOf(of)}</div>`)}</td></tr>\n`,
)}</tbody></table></div>
${schema === undefined ? '' : html`<details><summary>Example of an answer</summary>${example(schema, schemas)}</details>`}`
}

/** Longer examples add nothing to the schema. */
const LONGEST_EXAMPLE = 4000

function example(schema: Schema, schemas: Schemas): Html {
  const text = JSON.stringify(exampleOf(schema, schemas), null, 2)
  return html`<pre tabindex="0">${text.length > LONGEST_EXAMPLE ? `${text.slice(0, LONGEST_EXAMPLE)}\n…` : text}</pre>`
}

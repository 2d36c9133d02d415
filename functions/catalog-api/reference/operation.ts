/** One operation of the API as HTML: purpose, parameters, answers. */
import { html } from 'hono/html'
import { copyable, type Html, withCode } from '../pages/parts.ts'
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

/** The id of its section: `get-api-v1-runs`. */
export const anchorOf = ({ method, path }: Named): string =>
  `${method}${path.replaceAll(/[^a-z0-9]+/gi, '-')}`.replace(/-$/, '')

export const groupAnchor = (group: string): string => `group-${group.toLowerCase().replaceAll(/\W+/g, '-')}`

export const typeOf = (schema: Schema): readonly (Html | string)[] =>
  typeParts(schema).map((part) =>
    typeof part === 'string' ? part : html`<a href="#schema-${part.schema}">${part.schema}</a>`,
  )

export const paragraphs = (text: string | undefined): readonly Html[] =>
  (text ?? '')
    .split(/\n\n+/)
    .flatMap((paragraph) => (paragraph === '' ? [] : [html`<p>${withCode(paragraph)}</p>\n`]))

export const operationSection = (named: Named, schemas: Schemas): Html => {
  const { method, path, operation } = named
  const id = anchorOf(named)
  return html`<section id="${id}" class="operation" aria-labelledby="${id}-title">
<h3 id="${id}-title"><a class="route" href="#${id}"><b class="${method}">${method.toUpperCase()}</b> ${path}</a></h3>
<p>${withCode(operation.summary ?? '')}${operation.security === undefined ? html` <span class="label">open to everyone</span>` : ''}</p>
${paragraphs(operation.description)}
${parameterLists(operation.parameters ?? [])}
${operation.requestBody === undefined ? '' : body(operation.requestBody.content, schemas)}
${copyable(`${id}-curl`, 'Try it', curlLine(named, schemas))}
${answers(operation, schemas)}
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

function parameterLists(parameters: readonly Parameter[]): Html {
  const many = parameters.filter(({ name }) => RUN_PARAMETER.test(name))
  const usual = parameters.filter(({ name }) => !RUN_PARAMETER.test(name))
  return html`${parameterList(usual)}${many.length === 0 ? '' : html`<details><summary>${many.length} run parameters</summary>${parameterList(many)}</details>`}`
}

const parameterList = (parameters: readonly Parameter[]): Html =>
  parameters.length === 0
    ? html``
    : html`<dl class="terms" aria-label="Parameters">
${parameters.map(
  ({ name, in: place, required, schema = {}, description }) =>
    html`<div><dt><code>${name}</code> <span class="quiet">${typeOf(schema)}${place === 'path' ? ', in the path' : required === true ? ', required' : ''}</span></dt><dd>${withCode(description ?? schema.description ?? '')}</dd></div>\n`,
)}</dl>`

const body = (content: Content, schemas: Schemas): readonly Html[] =>
  Object.entries(content).map(
    ([type, { schema = {} }]) =>
      html`<p>Body, <code>${type}</code>: ${typeOf(schema)}</p>\n${example(schema, schemas)}`,
  )

function answers({ responses = {} }: Operation, schemas: Schemas): Html {
  const rows = Object.entries(responses)
  const [, success] = rows.find(([status]) => status.startsWith('2')) ?? []
  const [, { schema = undefined } = {}] =
    Object.entries(success?.content ?? {}).find(([type]) => type === 'application/json') ?? []
  return html`<details><summary>Answers: ${rows.map(([status]) => status).join(', ')}</summary><dl class="terms">
${rows.map(
  ([status, { description, content = {} }]) =>
    html`<div><dt><code>${status}</code></dt><dd>${withCode(description ?? '')}${Object.entries(content).map(([type, { schema: of = {} }]) => html`<br><code>${type}</code> <span class="quiet">${typeOf(of)}</span>`)}</dd></div>\n`,
)}</dl></details>
${schema === undefined ? '' : html`<details><summary>Example of an answer</summary>${example(schema, schemas)}</details>`}`
}

/** Longer examples add nothing to the schema. */
const LONGEST_EXAMPLE = 4000

function example(schema: Schema, schemas: Schemas): Html {
  const text = JSON.stringify(exampleOf(schema, schemas), null, 2)
  return html`<pre tabindex="0">${text.length > LONGEST_EXAMPLE ? `${text.slice(0, LONGEST_EXAMPLE)}\n…` : text}</pre>`
}

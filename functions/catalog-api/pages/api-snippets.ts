/** The same query for the API, to be copied into a terminal or a notebook. */
import { html } from 'hono/html'
import { copyable, type Html, NOTHING } from './parts.ts'

interface Menu {
  /** The page with more about Python: pythonPath of a run, or /python. */
  readonly python?: string
  readonly summary?: string
  /** What follows curl and Python. */
  readonly more?: Html
}

/** @param path of the API, beginning with /api/v1/. */
export function apiSnippets(
  origin: string,
  path: string,
  query: URLSearchParams,
  { python = '/python', summary = 'Copy as curl or Python', more = NOTHING }: Menu = {},
): Html {
  const url = new URL(path, origin).href
  const parameters = [...query]
  const address = parameters.length === 0 ? url : `${url}?${query}`
  return html`<details class="snippets" id="snippets"><summary>${summary}</summary>
${copyable('as-curl', 'curl', curlOf(address))}
${copyable('as-python', 'Python', pythonOf(url, parameters))}
${more}
<p><a href="${python}">More for Python, pandas and ROOT</a> · <a href="/tokens">Your tokens</a></p>
</details>`
}

export const curlOf = (address: string): string =>
  `curl -sS -H "Authorization: Bearer $CYGNET_API_TOKEN" ${shellQuoted(address)}`

export function pythonOf(url: string, parameters: readonly (readonly [string, string])[]): string {
  const wanted = parameters
    .map(([name, value]) => `    (${pythonQuoted(name)}, ${pythonQuoted(value)}),\n`)
    .join('')
  return `import os, requests

answer = requests.get(
    ${pythonQuoted(url)},
    params=${wanted === '' ? '[]' : `[\n${wanted.replaceAll(/^/gm, '    ').trimEnd()}\n    ]`},
    headers={"Authorization": "Bearer " + os.environ["CYGNET_API_TOKEN"]},
)
answer.raise_for_status()
print(answer.json())`
}

/** Reads a whole list: each line of NDJSON is one row. */
export function pythonListOf(url: string, query: URLSearchParams): string {
  const parameters = [...query, ['format', 'ndjson']]
  return `import json, os, requests

answer = requests.get(
    ${pythonQuoted(url)},
    params=[
${parameters.map(([name = '', value = '']) => `        (${pythonQuoted(name)}, ${pythonQuoted(value)}),`).join('\n')}
    ],
    headers={"Authorization": "Bearer " + os.environ["CYGNET_API_TOKEN"]},
    stream=True,
)
answer.raise_for_status()
rows = [json.loads(line) for line in answer.iter_lines()]
print(len(rows))`
}

/** The text as a single word for a POSIX shell. */
export const shellQuoted = (text: string): string =>
  /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** A Python string literal: JSON strings are valid Python. */
const pythonQuoted = (text: string): string => JSON.stringify(text)

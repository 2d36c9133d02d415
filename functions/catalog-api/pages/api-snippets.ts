/** The same query for the API, to be copied into a terminal or a notebook. */
import { html } from 'hono/html'
import { copyable, type Html } from './parts.ts'

/**
 * @param path of the API, beginning with /api/v1/.
 * @param python the page with more about Python: pythonPath of a run, or /python.
 */
export function apiSnippets(origin: string, path: string, query: URLSearchParams, python = '/python'): Html {
  const url = new URL(path, origin).href
  const parameters = [...query]
  const address = parameters.length === 0 ? url : `${url}?${query}`
  return html`<details class="snippets"><summary>Copy as curl or Python</summary>
${copyable('as-curl', 'curl', curlOf(address))}
${copyable('as-python', 'Python', pythonOf(url, parameters))}
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

/** The text as a single word for a POSIX shell. */
export const shellQuoted = (text: string): string =>
  /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** A Python string literal: JSON strings are valid Python. */
const pythonQuoted = (text: string): string => JSON.stringify(text)

/** The same question to the API, to be copied into a terminal or a notebook. */
import { html } from 'hono/html'
import { copyable, type Html } from './parts.ts'

/** @param path of the API, beginning with /api/v1/. */
export function apiSnippets(origin: string, path: string, query: URLSearchParams): Html {
  const { url, parameters } = { url: new URL(path, origin).href, parameters: [...query] }
  const address = parameters.length === 0 ? url : `${url}?${query}`
  return html`<details class="snippets"><summary>Copy as curl or Python</summary>
${copyable('as-curl', 'curl', `curl -sS -H "Authorization: Bearer $CYGNET_API_TOKEN" ${shellQuoted(address)}`)}
${copyable('as-python', 'Python', pythonOf(url, parameters))}
</details>`
}

function pythonOf(url: string, parameters: readonly (readonly [string, string])[]): string {
  const wanted = parameters.map(([name, value]) => `    (${pythonQuoted(name)}, ${pythonQuoted(value)}),\n`).join('')
  return `import os, requests

answer = requests.get(
    ${pythonQuoted(url)},
    params=${wanted === '' ? '[]' : `[\n${wanted.replaceAll(/^/gm, '    ').trimEnd()}\n    ]`},
    headers={"Authorization": "Bearer " + os.environ["CYGNET_API_TOKEN"]},
)
answer.raise_for_status()
print(answer.json())`
}

/** One word to a POSIX shell, whatever is in it. */
const shellQuoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** A literal of Python: JSON's strings are that too. */
const pythonQuoted = (text: string): string => JSON.stringify(text)

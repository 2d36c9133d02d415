/**
 * The menu “Use this elsewhere” beside a list: the same rows as a file, by curl and in Python. The pages only
 * link to the API, whose lists have every row that the filters select.
 */
import { html } from 'hono/html'
import { pythonListOf, shellQuoted } from './api-snippets.ts'
import { copyable, type Html } from './parts.ts'

/** The page of personal tokens, which curl and Python need. */
const TOKENS_PATH = '/tokens'

interface ListOfApi {
  /** Unique on the page. */
  readonly id: string
  /** What the rows are, for people: `runs`, `open copies`. */
  readonly what: string
  /** `/api/v1/runs` */
  readonly path: string
  readonly query?: URLSearchParams
  /** Of this site, as browsers reach it. */
  readonly origin: string
}

export function useElsewhere({ id, what, path, query = new URLSearchParams(), origin }: ListOfApi): Html {
  const addressIn = (format: 'csv' | 'ndjson') =>
    `${path}?${new URLSearchParams([...query, ['format', format]])}`
  const url = new URL(path, origin).href
  const csv = new URL(addressIn('csv'), origin).href
  const menu = `elsewhere-${id}`
  return html`<div class="elsewhere"><button type="button" popovertarget="${menu}">Use this elsewhere</button>
<div id="${menu}" popover aria-labelledby="${menu}-title"><div class="sheet-head"><h2 id="${menu}-title">All ${what}, as filtered here</h2><button type="button" popovertarget="${menu}" popovertargetaction="hide">Close</button></div>
<p class="files"><a href="${addressIn('csv')}" download>CSV</a> <a href="${addressIn('ndjson')}" download>NDJSON</a> <span class="quiet">every row, on all pages</span></p>
${copyable(`${menu}-curl`, 'curl', `curl -sSf -H "Authorization: Bearer $CYGNET_API_TOKEN" ${shellQuoted(csv)}`)}
${copyable(`${menu}-python`, 'Python', pythonListOf(url, query))}
<p>CYGNET_API_TOKEN is <a href="${TOKENS_PATH}">a personal token</a>. <a href="/python">More for Python, pandas and ROOT</a> · <a href="/api/v1">API</a></p></div></div>`
}

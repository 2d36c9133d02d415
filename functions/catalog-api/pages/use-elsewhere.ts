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
  /** What the rows are, for people: `runs`, `open copies`. */
  readonly what: string
  /** `/api/v1/runs` */
  readonly path: string
  readonly query?: Readonly<Record<string, string>> | URLSearchParams
}

interface Menu {
  /** Unique on the page. */
  readonly id: string
  /** Of this site, as browsers reach it. */
  readonly origin: string
  /** The first is that of curl and Python. */
  readonly lists: readonly [ListOfApi, ...ListOfApi[]]
}

const addressIn = ({ path, query }: ListOfApi, format: 'csv' | 'ndjson'): string =>
  `${path}?${new URLSearchParams([...new URLSearchParams(query), ['format', format]])}`

export function useElsewhere({ id, origin, lists }: Menu): Html {
  const [first] = lists
  const menu = `elsewhere-${id}`
  const csv = new URL(addressIn(first, 'csv'), origin).href
  return html`<div class="elsewhere"><button type="button" popovertarget="${menu}" aria-label="Use this elsewhere: ${first.what}">Use this elsewhere</button>
<div id="${menu}" popover role="dialog" aria-labelledby="${menu}-title"><div class="sheet-head"><h2 id="${menu}-title">Use this elsewhere</h2><button type="button" popovertarget="${menu}" popovertargetaction="hide">Close</button></div>
<ul>${lists.map((list) => html`<li class="files"><a href="${addressIn(list, 'csv')}" download>CSV</a> <a href="${addressIn(list, 'ndjson')}" download>NDJSON</a> <span>${list.what}</span></li>`)}</ul>
${copyable(`${menu}-curl`, 'curl', `curl -sSf -H "Authorization: Bearer $CYGNET_API_TOKEN" ${shellQuoted(csv)}`)}
${copyable(`${menu}-python`, 'Python', pythonListOf(new URL(first.path, origin).href, new URLSearchParams(first.query)))}
<p>CYGNET_API_TOKEN is <a href="${TOKENS_PATH}">a personal token</a>. <a href="/python">More for Python, pandas and ROOT</a> · <a href="/api/v1">API</a></p></div></div>`
}

/** The heading of a list with its menu. */
export const listHead = (id: string, title: string, menu: Html): Html =>
  html`<div class="list-head"><h2 id="${id}">${title}</h2>${menu}</div>`

/**
 * Use from Python and ROOT: docs/python.md with the address of this catalogue, and with commands for one run
 * if the query names one; also serves the programs in it as files.
 */
import { html } from 'hono/html'
import * as z from 'zod'
import type { Context } from '../../../shared/context.ts'
import type { RunId } from '../../../shared/run.ts'

import { LARGEST_RUN_NUMBER } from '../../../shared/run.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addPage } from '../http/route.ts'
import { shellQuoted } from './api-snippets.ts'
import { PYTHON_PAGE, PYTHON_PROGRAMS } from './assets/snippets.ts'
import { renderPage } from './layout.ts'
import { type Block, parseMarkdown } from './markdown.ts'
import { originOf, type PageOptions } from './options.ts'
import { copyable, type Html, NOTHING, runPath, withCode } from './parts.ts'

/** The placeholder in docs/python.md for the address of a catalogue. */
const EXAMPLE_ADDRESS = 'https://cygnet.example.org'
/** A paragraph below the title that concerns only the repository: it names the sources of the page. */
const OF_THE_REPOSITORY = /^Generated from /

const runQuery = z.object({
  tag: z.string().min(1).max(200),
  run: z.coerce.number().int().min(0).max(LARGEST_RUN_NUMBER),
})

export function registerPython(api: Api, context: Context, options: PageOptions): void {
  const blocks = parseMarkdown(PYTHON_PAGE).filter(
    ({ kind, text }) => kind !== 'paragraph' || !OF_THE_REPOSITORY.test(text),
  )

  addPage(api, 'GET', '/python', { open: true }, (c) => {
    const { data } = runQuery.safeParse(c.req.query())
    const origin = originOf(c, context)
    const run = data === undefined ? NOTHING : ofRun({ tag: data.tag, runNumber: data.run }, origin)
    const body = html`<div class="title"><h1>Use from Python and ROOT</h1></div>
<div class="text">${run}
${blocks.map((block, index) => blockOf(block, `code-${index}`, origin))}</div>`
    return renderPage(c, options, { title: 'Python and ROOT', body })
  })

  addPage(api, 'GET', '/python/:name', { open: true }, (c) => {
    const name = c.req.param('name') ?? ''
    const text = Object.hasOwn(PYTHON_PROGRAMS, name) ? PYTHON_PROGRAMS[name] : undefined
    if (text === undefined) throw refusal(404, 'there is no program of this name')
    return c.body(text, 200, {
      'content-type': 'text/plain; charset=utf-8',
      'content-disposition': `attachment; filename="${name}"`,
    })
  })
}

/** The address of this page with commands for one run. */
export const pythonPath = ({ tag, runNumber }: RunId): string =>
  `/python?${new URLSearchParams({ tag, run: String(runNumber) })}`

/** The run is not looked up, since the page is public. */
function ofRun({ tag, runNumber }: RunId, origin: string): Html {
  const program = `export CYGNET_API_URL=${origin}
curl -sSO "$CYGNET_API_URL/python/catalogue.py"
python3 catalogue.py ${shellQuoted(tag)} ${runNumber}`
  return html`<section aria-labelledby="of-run"><h2 id="of-run">Run ${runNumber} of ${tag}</h2>
<p>The first command fetches <a href="${runPath({ tag, runNumber })}">this run</a> with Python alone; the second resumes after an interruption. If the run is not public, set CYGNET_API_TOKEN to one of your <a href="/tokens">tokens</a>.</p>
${copyable('run-python', 'Python', program)}
${copyable('run-cygnet', 'The command cygnet', `cygnet get ${runNumber} --tag ${shellQuoted(tag)}`)}</section>`
}

function blockOf(block: Block, id: string, origin: string): Html {
  const text = block.text.replaceAll(EXAMPLE_ADDRESS, origin)
  if (block.kind === 'heading') return html`<h2>${text}</h2>\n`
  if (block.kind === 'paragraph') return html`<p>${withCode(text)}</p>\n`
  const { file } = block
  return copyable(id, file === null ? 'Shell' : html`<a href="/python/${file}" download>${file}</a>`, text)
}

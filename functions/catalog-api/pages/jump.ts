/** Jump: from a run number, a tag or an object key to the page about it, or to a short list of what matches. */
import { html } from 'hono/html'
import { tagsAllowed } from '../../../shared/access/caller.ts'
import type { Context } from '../../../shared/context.ts'
import { findJumpTargets, type JumpTarget } from '../../../shared/queries/jump.ts'
import { cutText } from '../../../shared/text.ts'
import { type Api, addPage } from '../http/route.ts'
import { counted } from './format.ts'
import { JUMP_PATH, renderPage } from './layout.ts'
import type { PageOptions } from './options.ts'
import { type Html, mark, runPath, table, timeOf } from './parts.ts'

/** Longer than any object key. */
const LONGEST_TEXT = 1100

export function registerJump(api: Api, context: Context<'database'>, options: PageOptions): void {
  addPage(api, 'GET', JUMP_PATH, { right: 'read', anyTag: true }, async (c) => {
    const text = cutText((c.req.query('q') ?? '').trim(), LONGEST_TEXT)
    const visible = tagsAllowed(c.get('caller'), 'read')
    const targets = await findJumpTargets(context.database, text, visible, c.req.query('tag') ?? null)
    const [only] = targets
    if (only !== undefined && targets.length === 1) return c.redirect(pathOf(only), 302)
    return renderPage(c, options, {
      title: 'Jump',
      status: only === undefined && text !== '' ? 404 : 200,
      body: html`<div class="title"><h1>Jump</h1></div>${only === undefined ? nothing(text) : found(text, targets)}`,
    })
  })
}

const pathOf = (target: JumpTarget): string =>
  target.kind === 'tag' ? `/runs?${new URLSearchParams({ tag: target.tag })}` : runPath(target)

const found = (text: string, targets: readonly JumpTarget[]): Html =>
  table<JumpTarget>({
    id: 'targets',
    caption: `${counted(targets.length, 'match', 'matches')} for “${text}”`,
    rows: targets,
    empty: '',
    columns: [
      {
        head: 'Go to',
        heads: true,
        cell: (target) =>
          html`<a href="${pathOf(target)}">${target.kind === 'tag' ? `all runs of ${target.tag}` : `run ${target.runNumber}`}</a>`,
      },
      { head: 'Tag', cell: ({ tag }) => tag },
      {
        head: 'Started (UTC)',
        cell: (target) => {
          if (target.kind === 'tag') return ''
          return target.isCatalogued ? timeOf(target.startedAt) : mark('waiting', 'not catalogued yet')
        },
      },
    ],
  })

const nothing = (text: string): Html => html`<div class="notice">
${text === '' ? html`<p>Enter what to look for in the box at the top.</p>` : html`<p><strong>No run, tag or file matches “${text}”.</strong> Either it is not in the catalogue, or you may not see its tag.</p>`}
<p>Examples:</p><ul class="examples">
<li><code>12345</code> a run number, of any tag</li>
<li><code>LNGS 12345</code> a run of one tag</li>
<li><code>LNGS</code> all runs of a tag</li>
<li><code>LNGS/run12345.mid.gz</code> the run of a file, with or without its bucket</li>
</ul>
<p><a href="/runs">Search by time, parameters or copies instead</a></p></div>`

/**
 * Links to chosen runs: for a browser, and as lists for wget and aria2. They are the answer to a POST, so
 * that no link is part of an address.
 */
import { html } from 'hono/html'
import * as z from 'zod'
import { mayDo } from '../../../shared/access/caller.ts'
import type { Context } from '../../../shared/context.ts'
import type { FileLink } from '../../../shared/copies/links/find-files.ts'
import { LARGEST_RUN_NUMBER, type RunId } from '../../../shared/run.ts'
import { safePath } from '../access/safe-path.ts'
import { findLinks } from '../api/find-links.ts'
import { LIST_COMMANDS, LIST_FORMATS, listOf } from '../api/link-lists.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addPage } from '../http/route.ts'
import { bytes, counted } from './format.ts'
import { csrfField, renderPage } from './layout.ts'
import { csrfTokenOf, type PageOptions } from './options.ts'
import { type Content, copyable, type Html, mark, NOTHING, runPath, table, timeOf } from './parts.ts'
import { pythonPath } from './python.ts'

/** The number of runs on one page of the table. */
const MOST_RUNS = 100

/** `<tag, encoded>/<run number>` */
const chosenRun = z
  .string()
  .max(700)
  .regex(/^[^/]+\/\d{1,10}$/)
  .transform((text, context): RunId => {
    const [tag = '', number = ''] = text.split('/')
    const runNumber = Number(number)
    try {
      if (runNumber <= LARGEST_RUN_NUMBER) return { tag: decodeURIComponent(tag), runNumber }
    } catch {}
    context.addIssue({ code: 'custom', message: 'this does not name a run' })
    return z.NEVER
  })
const form = z.object({
  run: z.array(chosenRun).max(MOST_RUNS),
  recall: z.literal('yes').optional(),
  from: z.string().catch('/runs'),
})

export const chosenValue = ({ tag, runNumber }: RunId): string => `${encodeURIComponent(tag)}/${runNumber}`

export function registerRunLinks(
  api: Api,
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  options: PageOptions,
): void {
  addPage(api, 'POST', '/runs/links', { right: 'link', anyTag: true }, async (c) => {
    const body = await c.req.parseBody({ all: true })
    const parsed = form.safeParse({ run: [body.run ?? []].flat(), recall: body.recall, from: body.from })
    if (!parsed.success) throw refusal(400, `choose up to ${MOST_RUNS} runs in the table`)
    const caller = c.get('caller')
    const { run, recall, from } = parsed.data
    const runs = run.filter(({ tag }) => mayDo(caller, 'link', tag))
    const refused = run.filter(({ tag }) => !mayDo(caller, 'link', tag))
    const request = {
      runs,
      files: [],
      seconds: context.config.store.linkSeconds,
      check: true,
      recall: recall === 'yes',
    }
    const { files, unknown } = await findLinks(context, c, request, c.req.raw.signal)
    const without = [
      ...unknown.map(({ why }) => why),
      ...refused.map(({ tag, runNumber }) => `run ${runNumber}: you may not obtain links to runs of ${tag}`),
    ]
    return renderPage(c, options, {
      title: 'Links',
      body: linksBody(c, { files, without, from: backTo(from) }, csrfTokenOf(c, options)),
    })
  })
}

/** For a form that requests links: the page that contains the form. */
export const fromField = (path: string): Html => html`<input type="hidden" name="from" value="${path}">`

/** The filtered table, or the page of a run. */
const backTo = (from: string): string => (/^\/runs(?:[/?]|$)/.test(safePath(from)) ? safePath(from) : '/runs')

interface FoundFiles {
  readonly files: readonly FileLink[]
  /** The reason, for each run without a file here. */
  readonly without: readonly string[]
  readonly from: string
}

function linksBody(c: ApiContext, { files, without, from }: FoundFiles, token: string | null): Html {
  const links = files.flatMap((file) => (file.kind === 'link' ? [file] : []))
  const onTape = new Map(
    files.filter(({ kind }) => kind === 'on-tape').map((file) => [chosenValue(file), file]),
  )
  const recallable = [...onTape]
    .filter(([, { tag }]) => mayDo(c.get('caller'), 'recall', tag))
    .map(([value]) => value)
  const [first] = links
  return html`<div class="title"><h1>Links</h1><p><a href="${from}">Back to ${from.startsWith('/runs/') ? 'the run' : 'the runs'}</a> · <a href="${first === undefined ? '/python' : pythonPath(first)}">Use from Python and ROOT</a></p></div>
<p>${counted(links.length, 'link')}, ${bytes(links.reduce((sum, file) => sum + file.sizeBytes, 0))}. Anyone with a link can fetch the file until it expires: share runs, not links.</p>
${without.length === 0 ? NOTHING : html`<div class="notice bad"><p>Without links:</p><ul>${without.map((why) => html`<li>${why}</li>`)}</ul></div>`}
${recallable.length === 0 ? NOTHING : recallForm(recallable, from, token)}
${linkTable(files)}
${links.length === 0 ? NOTHING : lists(links)}`
}

const linkTable = (files: readonly FileLink[]): Html =>
  table<FileLink>({
    id: 'links',
    caption: 'Files of the chosen runs',
    captionHidden: true,
    rows: files,
    empty: 'No files to link to. Go back and choose some runs.',
    columns: [
      {
        head: 'Run',
        heads: true,
        cell: (file) => html`<a href="${runPath(file)}">${file.tag} ${file.runNumber}</a>`,
      },
      { head: 'File', cell: linkOf },
      { head: 'Size', numeric: true, cell: ({ sizeBytes }) => bytes(sizeBytes) },
      { head: 'Valid until (UTC)', cell: (file) => (file.kind === 'link' ? timeOf(file.expiresAt) : '–') },
      { head: 'MD5', cell: ({ md5 }) => html`<code>${md5}</code>` },
      { head: 'Adler-32', cell: ({ adler32 }) => html`<code>${adler32}</code>` },
    ],
  })

function linkOf(file: FileLink): Content {
  switch (file.kind) {
    case 'link':
      return html`<a href="${file.url}" rel="noreferrer" download>${file.fileName}</a>${file.warning === null ? NOTHING : html`<br>${mark('bad', file.warning)}`}`
    case 'recalling':
      return mark(
        'moving',
        `being recalled from tape (${file.state})${file.detail === null ? '' : `: ${file.detail}`}`,
      )
    case 'on-tape':
      return mark('waiting', file.how)
    case 'unavailable':
      return mark('bad', file.why)
  }
}

const recallForm = (
  runs: readonly string[],
  from: string,
  token: string | null,
): Html => html`<form method="post" action="/runs/links" class="notice">
${csrfField(token)}${fromField(from)}<input type="hidden" name="recall" value="yes">
${runs.map((run) => html`<input type="hidden" name="run" value="${run}">`)}
<p>${counted(runs.length, 'run')} can be recalled from tape. <button class="main">Recall</button></p></form>`

type AvailableLink = Extract<FileLink, { readonly kind: 'link' }>

const lists = (
  links: readonly AvailableLink[],
): Html => html`<details class="snippets"><summary>Lists for wget and aria2</summary>
${LIST_FORMATS.map((format) => html`${copyable(`for-${format}`, LIST_COMMANDS[format], listOf(links, format))}\n`)}</details>`

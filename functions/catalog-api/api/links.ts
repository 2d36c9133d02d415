/** Presigned links to files of runs, for one run or for many runs and files; recalls of runs from tape. */
import { createRoute } from '@hono/zod-openapi'
import type { Context } from '../../../shared/context.ts'
import { whereNobodyReadsWarnings } from '../../../shared/copies/links/unread-warnings.ts'
import { requestRecall } from '../../../shared/copies/recall/request.ts'
import { audited } from '../access/audited.ts'
import { isSignedIn } from '../access/session.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addRoute } from '../http/route.ts'
import { type FoundLinks, findLinks, reasonsOf, someOf } from './find-links.ts'
import { type ListFormat, listOf } from './link-lists.ts'
import {
  linksAnswer,
  linksQuery,
  linksRequest,
  MOST_LINKS,
  recallAnswer,
  recallRequest,
} from './link-schemas.ts'
import { problems, SECURITY } from './problems.ts'
import { asConflict, checkRecallRights } from './recall-rights.ts'
import { findGeneration, forTagInPath, runParams } from './run-params.ts'

const ANSWER_MS = 15_000

const LIST = {
  type: 'string' as const,
  example: 'https://s3.example.org/cygno-data/LNGS/run12345.mid.gz?X-Amz-Signature=…\n',
}
/** Several content types, so that handlers may return a Response of their own. */
const contents: Readonly<Record<string, { readonly schema: typeof linksAnswer | typeof LIST }>> = {
  'application/json': { schema: linksAnswer },
  'text/plain': { schema: LIST },
}
const LINKS = { description: 'The links, or why there are none', content: contents }

const runLinksRoute = createRoute({
  method: 'get',
  path: '/api/v1/runs/{tag}/{run}/links',
  tags: ['Links'],
  summary: 'Links to the files of a run',
  description: 'Every object is checked in the store first: it must be the verified version.',
  security: SECURITY,
  request: { params: runParams, query: linksQuery },
  responses: { 200: LINKS, ...problems(404, 409) },
})

const linksRoute = createRoute({
  method: 'post',
  path: '/api/v1/links',
  tags: ['Links'],
  summary: `Links to up to ${MOST_LINKS} runs or files`,
  description:
    'From the catalogue alone unless `check` or `recall` is requested. A list for a program (`format`) is refused with 409 when a file has no link, unless `partial` is true.',
  security: SECURITY,
  request: { body: { required: true, content: { 'application/json': { schema: linksRequest } } } },
  responses: { 200: LINKS, ...problems(409, 413, 415) },
})

const recallRoute = createRoute({
  method: 'post',
  path: '/api/v1/runs/{tag}/{run}/recall',
  tags: ['Links'],
  summary: 'Recall a run from tape into the store',
  description:
    'A repeated request extends the time. Files that are already in the store stay there for the same time.',
  security: SECURITY,
  request: { params: runParams, body: { content: { 'application/json': { schema: recallRequest } } } },
  responses: {
    202: {
      description: 'The recall is requested; the links show its progress',
      content: { 'application/json': { schema: recallAnswer } },
    },
    ...problems(404, 409, 413, 415),
  },
})

export function registerLinks(
  api: Api,
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
): void {
  const { database, config } = context
  const withinTime = (c: ApiContext) => AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(ANSWER_MS)])

  addRoute(api, runLinksRoute, forTagInPath('link'), async (c) => {
    const { tag, run } = c.req.valid('param')
    const {
      seconds = config.store.linkSeconds,
      recall = false,
      format = 'json',
      partial = false,
    } = c.req.valid('query')
    // Browsers send the cookie when a link on another site is followed, and csrf.ts checks only methods that
    // change something.
    if (recall && isSignedIn(c.get('caller')))
      throw refusal(403, 'with a cookie, request a recall by POST …/recall')
    const wanted = { runs: [{ tag, runNumber: run }], files: [], seconds, recall, check: true }
    const found = await findLinks(context, c, wanted, withinTime(c))
    // Ends with 404 if there is no such run. A run may have no current file.
    if (found.unknown.length > 0) await findGeneration(database, { tag, run }, undefined)
    return answer(c, context, { found, recall, format, partial })
  })

  addRoute(api, linksRoute, { right: 'link', anyTag: true }, async (c) => {
    const {
      runs,
      files,
      seconds = config.store.linkSeconds,
      recall,
      check,
      format,
      partial,
    } = c.req.valid('json')
    const wanted = {
      runs: runs.map(({ tag, run }) => ({ tag, runNumber: run })),
      files,
      seconds,
      recall,
      check,
    }
    const found = await findLinks(context, c, wanted, withinTime(c))
    return answer(c, context, { found, recall, format, partial })
  })

  addRoute(api, recallRoute, forTagInPath('recall'), async (c) => {
    const { tag, run: runNumber } = c.req.valid('param')
    const { run } = await findGeneration(database, { tag, run: runNumber }, undefined)
    const { days = config.recall.days, exceed } = c.req.valid('json')
    const { name: requestedBy, subject } = c.get('caller')
    checkRecallRights(c.get('caller'), [{ tag }], exceed)
    const options = { days, requestedBy, subject, exceed }
    const { files } = await audited(context, c, 'recall', `${tag}: ${runNumber}`, () =>
      requestRecall(context, { runId: run.id }, options, context.now(), withinTime(c)).catch(asConflict),
    )
    context.log.info({ run: runNumber, tag, days, exceed, by: subject }, 'recall-requested')
    const shown = files.map((file) => ({
      ...file,
      requestedAt: file.requestedAt.toISOString(),
      expiresAt: file.expiresAt.toISOString(),
    }))
    return c.json({ tag, runNumber, files: shown }, 202)
  })
}

interface LinksAnswer {
  readonly found: FoundLinks
  readonly recall: boolean
  readonly format: ListFormat | 'json'
  readonly partial: boolean
}

function answer(c: ApiContext, context: Context, { found, recall, format, partial }: LinksAnswer): Response {
  const files = format === 'json' ? found.files : found.files.map(whereNobodyReadsWarnings)
  const links = files.flatMap((file) => (file.kind === 'link' ? [file] : []))
  // The links themselves grant access to the data and are not logged.
  context.log.info(
    { links: links.length, files: files.length, recall, by: c.get('caller').subject },
    'links-given',
  )
  c.header('cache-control', 'no-store')
  if (format === 'json') return c.json(found)
  if (!partial && (links.length < files.length || found.unknown.length > 0))
    throw incompleteList({ ...found, files })
  return c.text(listOf(links, format))
}

/** A list is fed to a program, whose user does not see which files are missing from it: so it is refused. */
const incompleteList = (found: FoundLinks) =>
  refusal(409, `not all files have a link (partial=true omits these): ${someOf(reasonsOf(found))}`)

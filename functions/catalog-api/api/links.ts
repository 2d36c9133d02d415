/** Presigned links to files of runs: one run, or many runs and files; and runs brought back from tape. */
import { createRoute } from '@hono/zod-openapi'
import type { Context } from '../../../shared/context.ts'
import type { FileLink } from '../../../shared/copies/links/find-files.ts'
import { requestRecall } from '../../../shared/copies/recall/request.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { isSignedIn } from '../access/session.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addRoute } from '../http/route.ts'
import { type FoundLinks, findLinks } from './find-links.ts'
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
import { findUse, forTagInPath, runParams } from './run-params.ts'

const ANSWER_MS = 15_000

const LIST = {
  type: 'string' as const,
  example: 'https://s3.example.org/cygno-data/LNGS/run12345.mid.gz?X-Amz-Signature=…\n',
}
/** Of several types, so that handlers answer with a Response of their own. */
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
  description:
    'Every object is looked up in the store before there is a link to it: it must be the one that was verified.',
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
    'By the catalogue alone unless `check` or `recall` is asked for. As a list for a program (`format`) it is refused with 409 when a file has no link, unless `partial` is true.',
  security: SECURITY,
  request: { body: { required: true, content: { 'application/json': { schema: linksRequest } } } },
  responses: { 200: LINKS, ...problems(409, 413, 415) },
})

const recallRoute = createRoute({
  method: 'post',
  path: '/api/v1/runs/{tag}/{run}/recall',
  tags: ['Links'],
  summary: 'Have a run brought back from tape into the store',
  description: 'Asked again, it stays longer. What is in the store already stays there as long.',
  security: SECURITY,
  request: { params: runParams, body: { content: { 'application/json': { schema: recallRequest } } } },
  responses: {
    202: {
      description: 'It is asked for; links say how far it is',
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
    // Browsers send the cookie along when a link on another site is followed, and csrf.ts looks only at what
    // changes by its method.
    if (recall && isSignedIn(c.get('caller')))
      throw refusal(403, 'with a cookie a recall is asked for by POST …/recall')
    const wanted = { runs: [{ tag, runNumber: run }], files: [], seconds, recall, check: true }
    const found = await findLinks(context, c.get('caller'), wanted, withinTime(c))
    // Ends with 404 where there is no such run; one may have no file that counts.
    if (found.unknown.length > 0) await findUse(database, { tag, run }, undefined)
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
    const found = await findLinks(context, c.get('caller'), wanted, withinTime(c))
    return answer(c, context, { found, recall, format, partial })
  })

  addRoute(api, recallRoute, forTagInPath('recall'), async (c) => {
    const { tag, run: runNumber } = c.req.valid('param')
    const { run } = await findUse(database, { tag, run: runNumber }, undefined)
    const { days = config.recall.days } = c.req.valid('json')
    const wish = { days, requestedBy: c.get('caller').name }
    const { files } = await requestRecall(
      context,
      { runId: run.id },
      wish,
      context.now(),
      withinTime(c),
    ).catch(asConflict)
    context.log.info({ run: runNumber, tag, days, by: c.get('caller').subject }, 'recall-requested')
    const shown = files.map((file) => ({
      ...file,
      requestedAt: file.requestedAt.toISOString(),
      expiresAt: file.expiresAt.toISOString(),
    }))
    return c.json({ tag, runNumber, files: shown }, 202)
  })
}

interface Answered {
  readonly found: FoundLinks
  readonly recall: boolean
  readonly format: ListFormat | 'json'
  readonly partial: boolean
}

function answer(c: ApiContext, context: Context, { found, recall, format, partial }: Answered): Response {
  const links = found.files.flatMap((file) => (file.kind === 'link' ? [file] : []))
  // The links themselves are keys to the data, and stand in no log.
  context.log.info(
    { links: links.length, files: found.files.length, recall, by: c.get('caller').subject },
    'links-given',
  )
  c.header('cache-control', 'no-store')
  if (format === 'json') return c.json(found)
  if (!partial && (links.length < found.files.length || found.unknown.length > 0)) throw incomplete(found)
  return c.text(listOf(links, format))
}

const NAMED = 5

/** Who feeds a list to a program does not read which files are not in it. */
function incomplete({ files, unknown }: FoundLinks) {
  const reasons = [...unknown.map(({ why }) => why), ...files.map(lackOf).filter((why) => why !== null)]
  const more = reasons.length > NAMED ? `; and ${reasons.length - NAMED} more` : ''
  return refusal(
    409,
    `not all files have a link (partial=true leaves these out): ${reasons.slice(0, NAMED).join('; ')}${more}`,
  )
}

function lackOf(file: FileLink): string | null {
  switch (file.kind) {
    case 'link':
      return null
    case 'recalling':
      return `${file.key} is being brought back from tape`
    case 'on-tape':
      return `${file.key}: ${file.how}`
    case 'unavailable':
      return `${file.key}: ${file.why}`
  }
}

/** What cannot be brought back is no malformed request. */
function asConflict(error: unknown): never {
  throw error instanceof InvalidInputError ? refusal(409, error.message) : error
}

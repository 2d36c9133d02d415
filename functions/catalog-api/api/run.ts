/** One run with everything that is known of it, and its files. */
import { createRoute, z } from '@hono/zod-openapi'
import type { TapeContext } from '../../../shared/context.ts'
import { fileView, runDetailsView } from '../../../shared/queries/run-view.ts'
import { describeRun } from '../../../shared/queries/runs.ts'
import { taggedJson } from '../http/etag.ts'
import { type Api, addRoute } from '../http/route.ts'
import { problems, SECURITY } from './problems.ts'
import { findUse, forTagInPath, runParams, useQuery } from './run-params.ts'
import { runDetails, runFiles } from './schemas.ts'

const NOT_MODIFIED = { description: 'The caller has it already: the ETag is the one in If-None-Match' }

const runRoute = createRoute({
  method: 'get',
  path: '/api/v1/runs/{tag}/{run}',
  tags: ['Runs'],
  summary: 'One run with everything that is known of it',
  description:
    'Parameters, files with checksums, copies, events and banks, requests to other parts of Cygnet, and what happened to it.',
  security: SECURITY,
  request: { params: runParams, query: z.strictObject({ use: useQuery }) },
  responses: {
    200: { description: 'The run', content: { 'application/json': { schema: runDetails } } },
    304: NOT_MODIFIED,
    ...problems(404),
  },
})

const filesRoute = createRoute({
  method: 'get',
  path: '/api/v1/runs/{tag}/{run}/files',
  tags: ['Runs'],
  summary: 'The files of a run, those that count first, then versions that were replaced',
  security: SECURITY,
  request: { params: runParams, query: z.strictObject({ use: useQuery }) },
  responses: {
    200: { description: 'The files', content: { 'application/json': { schema: runFiles } } },
    304: NOT_MODIFIED,
    ...problems(404),
  },
})

export function registerRun(api: Api, { database }: Pick<TapeContext, 'database'>): void {
  addRoute(api, runRoute, forTagInPath('read'), async (c) => {
    const { run, uses } = await findUse(database, c.req.valid('param'), c.req.valid('query').use)
    return taggedJson(c, runDetailsView(await describeRun(database, run), uses))
  })

  addRoute(api, filesRoute, forTagInPath('read'), async (c) => {
    const { run } = await findUse(database, c.req.valid('param'), c.req.valid('query').use)
    const { files } = await describeRun(database, run)
    return taggedJson(c, { tag: run.tag, runNumber: run.runNumber, files: files.map(fileView) })
  })
}

/** One run with all its details, its files, and corrections of its parameters. */
import { createRoute, z } from '@hono/zod-openapi'
import { correctParameters } from '../../../shared/catalogue/correct-parameters.ts'
import type { Context } from '../../../shared/context.ts'
import { InvalidInputError } from '../../../shared/errors.ts'
import { fileView, parametersView, runDetailsView } from '../../../shared/queries/run-view.ts'
import { describeRun } from '../../../shared/queries/runs.ts'
import { isWellFormed } from '../../../shared/text.ts'
import { audited } from '../access/audited.ts'
import { taggedJson } from '../http/etag.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addRoute } from '../http/route.ts'
import { NOT_WELL_FORMED } from '../http/validation-errors.ts'
import { problems, SECURITY } from './problems.ts'
import { findGeneration, forTagInPath, generationQuery, runParams } from './run-params.ts'
import { runDetails, runFiles, runParameters } from './schemas.ts'

const NOT_MODIFIED = { description: 'Unchanged: the ETag is the one in If-None-Match' }

const runRoute = createRoute({
  method: 'get',
  path: '/api/v1/runs/{tag}/{run}',
  tags: ['Runs'],
  summary: 'One run with all its details',
  description:
    'Parameters, files with checksums, copies, events and banks, requests to other parts of Cygnet, and its history.',
  security: SECURITY,
  request: { params: runParams, query: z.strictObject({ use: generationQuery }) },
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
  summary: 'The files of a run: the current ones, then replaced versions',
  security: SECURITY,
  request: { params: runParams, query: z.strictObject({ use: generationQuery }) },
  responses: {
    200: { description: 'The files', content: { 'application/json': { schema: runFiles } } },
    304: NOT_MODIFIED,
    ...problems(404),
  },
})

const text = z.string().refine(isWellFormed, NOT_WELL_FORMED)

const correction = z
  .strictObject({
    parameters: z
      .record(z.string().max(64), z.union([z.number(), text.max(10_000), z.null()]))
      .refine((values) => Object.keys(values).length > 0, 'name at least one')
      .openapi({
        description: 'By column of the Runlog; booleans are 1 and 0. Null withdraws a correction',
        example: { GEM1_V: 440, source_type: null },
      }),
    reason: text.trim().min(1).max(500).openapi({ example: 'mistyped by the shifter' }),
  })
  .openapi('Correction')

const correctRoute = createRoute({
  method: 'patch',
  path: '/api/v1/runs/{tag}/{run}/parameters',
  tags: ['Runs'],
  summary: 'Correct parameters of a run',
  description:
    'A correction takes precedence over the value of the DAQ, also when the file is read again. That value is kept, and restored when the correction is withdrawn. The history of the run states who corrected what. Run number, start_time and stop_time cannot be corrected.',
  security: SECURITY,
  request: {
    params: runParams,
    query: z.strictObject({ use: generationQuery }),
    body: { required: true, content: { 'application/json': { schema: correction } } },
  },
  responses: {
    200: {
      description: 'The current parameters',
      content: { 'application/json': { schema: runParameters } },
    },
    ...problems(404, 413, 415),
  },
})

/** For the audit. */
const correctionsIn = (parameters: Readonly<Record<string, unknown>>): string =>
  Object.entries(parameters)
    .map(([column, value]) => `${column} = ${value}`)
    .join(', ')

export function registerRun(api: Api, context: Context<'database'>): void {
  const { database, log, now } = context

  addRoute(api, runRoute, forTagInPath('read'), async (c) => {
    const { run, uses } = await findGeneration(database, c.req.valid('param'), c.req.valid('query').use)
    return taggedJson(c, runDetailsView(await describeRun(database, run), uses))
  })

  addRoute(api, filesRoute, forTagInPath('read'), async (c) => {
    const { run } = await findGeneration(database, c.req.valid('param'), c.req.valid('query').use)
    const { files } = await describeRun(database, run)
    return taggedJson(c, { tag: run.tag, runNumber: run.runNumber, files: files.map(fileView) })
  })

  addRoute(api, correctRoute, forTagInPath('override'), async (c) => {
    const { use } = c.req.valid('query')
    const { run } = await findGeneration(database, c.req.valid('param'), use)
    const { parameters, reason } = c.req.valid('json')
    const { name, subject } = c.get('caller')
    try {
      await audited(
        context,
        c,
        'override',
        `parameters of ${run.tag} ${run.runNumber}: ${correctionsIn(parameters)}`,
        () => correctParameters(database, run, { values: parameters, by: name, reason }, now()),
      )
    } catch (error) {
      throw error instanceof InvalidInputError ? refusal(400, error.message) : error
    }
    const { tag, runNumber } = run
    log.info(
      { tag, run: runNumber, parameters: Object.keys(parameters), by: subject },
      'parameters-corrected',
    )
    const corrected = await findGeneration(database, c.req.valid('param'), run.id)
    return c.json(parametersView(corrected.run), 200)
  })
}

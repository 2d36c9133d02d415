/** Recalls of many runs from tape: the plan, the request, and how far it is. */
import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from '../../../shared/context.ts'
import { refusalOf } from '../../../shared/copies/recall/budget.ts'
import { type PlannedFile, planRecalls } from '../../../shared/copies/recall/plan.ts'
import { recallRuns } from '../../../shared/copies/recall/request.ts'
import { type RunWithFiles, resolveRun, runsInRange } from '../../../shared/copies/recall/resolve-run.ts'
import type { Database } from '../../../shared/database/connect.ts'
import { isTag, type RunId } from '../../../shared/run.ts'
import { audited } from '../access/audited.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addRoute } from '../http/route.ts'
import { exceed as exceedField, recallDays } from './link-schemas.ts'
import { problems, SECURITY } from './problems.ts'
import { asConflict, checkRecallRights, namesOfRuns } from './recall-rights.ts'
import { runNumber } from './run-params.ts'

/** Files requested in one transaction, which must end long before the function does. A run is never divided. */
const MOST_FILES = 200
/** Runs in one plan. */
const MOST_RUNS = 500
const ANSWER_MS = 15_000

const tag = z.string().refine(isTag, 'not a tag, such as LNGS').openapi({ example: 'LNGS' })

const recallsRequest = z
  .strictObject({
    runs: z
      .array(z.strictObject({ tag, run: runNumber }))
      .max(MOST_RUNS)
      .default([]),
    range: z
      .strictObject({ tag, from: runNumber, to: runNumber })
      .optional()
      .openapi({ description: 'All runs of the tag from `from` to `to`, both included' }),
    days: recallDays,
    exceed: exceedField,
    dryRun: z.boolean().default(false).openapi({
      description: 'Only the plan. After a request, the plan shows how far the recalls are',
    }),
  })
  .refine(({ runs, range }) => runs.length > 0 || range !== undefined, 'name runs or a range')
  .openapi('RecallsRequest', { example: { range: { tag: 'LNGS', from: 12000, to: 12100 }, dryRun: true } })

const some = z.strictObject({ files: z.int(), sizeBytes: z.int() })
const plannedFile = z.strictObject({
  tag: z.string(),
  runNumber,
  bucket: z.string(),
  key: z.string(),
  sizeBytes: z.int(),
  state: z.enum(['in-store', 'recalling', 'on-tape', 'unavailable', 'failed']).openapi({
    description:
      'on-tape: a request fetches it, also one whose last recall failed (`reason`); failed: its recall failed, and its copy on tape is not usable any more',
  }),
  reason: z.string().nullable(),
})
const recallsAnswer = z
  .strictObject({
    requested: z.boolean(),
    runs: z.int(),
    inStore: some,
    recalling: some,
    onTape: some,
    unavailable: some.openapi({ description: 'Neither in the store nor verified on tape: left out' }),
    failed: some.openapi({ description: 'As unavailable, after a recall that failed' }),
    refusal: z.string().nullable().openapi({
      description: 'Why a request is refused now: a budget, or the room in the store',
      example: null,
    }),
    files: z.array(plannedFile),
  })
  .openapi('Recalls')

const recallsRoute = createRoute({
  method: 'post',
  path: '/api/v1/recalls',
  tags: ['Links'],
  summary: `Recall up to ${MOST_FILES} files of runs from tape into the store`,
  description: `All files that are on tape are requested, or none. The plan may have up to ${MOST_RUNS} runs; a request more than ${MOST_FILES} files only if they are of one run. Where the tape endpoint can, they are one request, and it reads them in the order of their positions. Repeat with \`dryRun\` to follow them.`,
  security: SECURITY,
  request: { body: { required: true, content: { 'application/json': { schema: recallsRequest } } } },
  responses: {
    200: { description: 'The plan', content: { 'application/json': { schema: recallsAnswer } } },
    202: {
      description: 'The recalls are requested',
      content: { 'application/json': { schema: recallsAnswer } },
    },
    ...problems(404, 409, 413, 415),
  },
})

type Wanted = z.output<typeof recallsRequest>

export function registerRecalls(api: Api, context: Context<'database' | 'queues'>): void {
  const { database, config } = context
  addRoute(api, recallsRoute, { right: 'recall', anyTag: true }, async (c) => {
    const wanted = c.req.valid('json')
    const { days = config.recall.days, exceed, dryRun } = wanted
    const caller = c.get('caller')
    checkRecallRights(caller, [...wanted.runs, ...(wanted.range === undefined ? [] : [wanted.range])], exceed)
    const runs = await findRuns(database, wanted)
    const plan = await planRecalls(database, runs)
    const requester = { subject: caller.subject, tags: runs.map(({ run }) => run.tag) }
    const onTape = plan.filter(({ state }) => state === 'on-tape')
    const why = exceed ? null : await refusalOf(context, requester, onTape, context.now())
    if (dryRun) return c.json(answerOf(runs, plan, false, why), 200)
    if (plan.length > MOST_FILES && runs.length > 1)
      throw refusal(
        409,
        `at most ${MOST_FILES} files can be recalled at once, and these are ${plan.length}: divide the range`,
      )
    const request = { days, requestedBy: caller.name, subject: caller.subject, exceed }
    const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(ANSWER_MS)])
    const available = withoutUnavailable(runs, plan)
    const object = namesOfRuns((available.length > 0 ? available : runs).map(({ run }) => run))
    await audited(
      context,
      c,
      'recall',
      object,
      async () => {
        if (available.length === 0)
          throw refusal(409, `none of these runs can be recalled: ${plan[0]?.key}: ${plan[0]?.reason}`)
        return await recallRuns(context, available, request, context.now(), signal).catch(asConflict)
      },
      () => outcomeOf(plan),
    )
    context.log.info({ runs: runs.length, days, exceed, by: caller.subject }, 'recalls-requested')
    return c.json(answerOf(runs, await planRecalls(database, runs), true, null), 202)
  })
}

async function findRuns(database: Database, { runs, range }: Wanted): Promise<readonly RunWithFiles[]> {
  const found = new Map<number, RunWithFiles>()
  for (const run of runs) {
    const each = await resolveRun(database, { tag: run.tag, runNumber: run.run }).catch(asConflict)
    found.set(each.run.id, each)
  }
  if (range !== undefined)
    for (const each of await runsInRange(database, range, MOST_RUNS + 1)) found.set(each.run.id, each)
  if (found.size > MOST_RUNS)
    throw refusal(
      409,
      `at most ${MOST_RUNS} runs can be recalled at once, and these are more: divide the range`,
    )
  if (found.size === 0)
    throw refusal(404, `${range?.tag} has no runs with files from ${range?.from} to ${range?.to}`)
  return [...found.values()]
}

const keyOf = ({ tag: of, runNumber: number, key }: RunId & { readonly key: string }) =>
  `${of}/${number}/${key}`

function withoutUnavailable(
  runs: readonly RunWithFiles[],
  plan: readonly PlannedFile[],
): readonly RunWithFiles[] {
  const left = new Set(plan.filter(isLeftOut).map(keyOf))
  return runs.flatMap(({ run, files }) => {
    const own = files.filter(({ objectKey: key }) => !left.has(keyOf({ ...run, key })))
    return own.length === 0 ? [] : [{ run, files: own }]
  })
}

const isLeftOut = ({ state }: PlannedFile): boolean => state === 'unavailable' || state === 'failed'

/** For the audit: which runs lack files. */
function outcomeOf(plan: readonly PlannedFile[]): string {
  const left = plan.filter(isLeftOut)
  return left.length === 0
    ? 'done'
    : `partly done: without ${left.length} of ${plan.length} files, which cannot be recalled, of ${namesOfRuns(left)}`
}

function answerOf(
  runs: readonly RunWithFiles[],
  plan: readonly PlannedFile[],
  requested: boolean,
  why: string | null,
): z.output<typeof recallsAnswer> {
  const of = (state: PlannedFile['state']) => {
    const files = plan.filter((file) => file.state === state)
    return { files: files.length, sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) }
  }
  return {
    requested,
    runs: runs.length,
    inStore: of('in-store'),
    recalling: of('recalling'),
    onTape: of('on-tape'),
    unavailable: of('unavailable'),
    failed: of('failed'),
    refusal: why,
    files: [...plan],
  }
}

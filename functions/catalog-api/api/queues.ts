/** Queues for programs: depth, age and dead letters, which can be sent back. */
import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from '../../../shared/context.ts'
import { dismissChosen, readDeadLetters, retryChosen } from '../../../shared/queries/dead-letters.ts'
import { oldestWork } from '../../../shared/queries/waiting-work.ts'
import { QUEUES, type QueueName } from '../../../shared/queue/queues.ts'
import { audited } from '../access/audited.ts'
import { refusal } from '../http/problem.ts'
import { type Api, type ApiContext, addRoute, type Rule } from '../http/route.ts'
import { formatOf } from '../http/table-answer.ts'
import { formatFilter, tableOf } from './list-route.ts'
import { problems, SECURITY } from './problems.ts'
import { queueStates } from './queue-states.ts'

const ANSWER_MS = 10_000
/** Reading hides the letters from other readers for a moment. */
const MOST_SHOWN = 50
/** A queue belongs to no tag. */
const OPERATORS: Rule = { right: 'operate', everyTag: true }

const time = z.iso.datetime().nullable()
const queue = z.enum(QUEUES).openapi({ description: 'Queue', example: 'tape-requests' })

const queueState = z.strictObject({
  queue,
  waiting: z.int().nullable().openapi({ description: 'Messages; null when the queue does not answer' }),
  inFlight: z.int().nullable().openapi({ description: 'Messages in progress' }),
  dead: z.int().nullable().openapi({ description: 'Dead letters: messages that failed too often' }),
  oldest: time.openapi({
    description:
      'Since when the oldest work has been waiting, at least, from the rows of the catalogue; null when none is waiting or no row shows it',
  }),
})
const queueList = z.strictObject({ queues: z.array(queueState) }).openapi('Queues')

const letter = z.strictObject({
  id: z.string(),
  sentAt: time,
  about: z.string().openapi({ example: 'cygno-data/LNGS/run12345.mid.gz' }),
  state: z
    .string()
    .nullable()
    .openapi({ description: 'Of the arrival, copy or recall; null if the catalogue has none' }),
  finished: z.boolean().openapi({
    description: 'The work is done without this message, which may be dismissed',
  }),
  attempts: z.int().nullable(),
  lastError: z.string().nullable(),
})
const deadLetters = z.strictObject({ queue, letters: z.array(letter) }).openapi('DeadLetters')

const inFormat = z.object({ format: formatFilter })
const tables = (row: z.ZodObject) => ({
  'application/x-ndjson': { schema: row },
  'text/csv': { schema: z.string() },
})

const queuesRoute = createRoute({
  method: 'get',
  path: '/api/v1/queues',
  tags: ['Queues'],
  summary: 'Depth, age and dead letters of every queue',
  security: SECURITY,
  request: { query: inFormat },
  responses: {
    200: {
      description: 'The queues',
      content: { 'application/json': { schema: queueList }, ...tables(queueState) },
    },
    ...problems(),
  },
})

const deadRoute = createRoute({
  method: 'get',
  path: '/api/v1/dead/{queue}',
  tags: ['Queues'],
  summary: 'Dead letters of a queue with the last error in the catalogue',
  description: 'At most 50. Reading hides them from other readers for a moment.',
  security: SECURITY,
  request: { params: z.object({ queue }), query: inFormat },
  responses: {
    200: {
      description: 'The dead letters',
      content: { 'application/json': { schema: deadLetters }, ...tables(letter) },
    },
    ...problems(),
  },
})

const letterParams = z.object({
  queue,
  id: z.string().min(1).max(200).openapi({ description: 'Id of the dead letter' }),
})

const retryRoute = createRoute({
  method: 'post',
  path: '/api/v1/dead/{queue}/{id}/retry',
  tags: ['Queues'],
  summary: 'Send a dead letter back to its queue',
  security: SECURITY,
  request: { params: letterParams },
  responses: {
    200: {
      description: 'The dead letter was sent back',
      content: {
        'application/json': { schema: z.strictObject({ queue, retried: z.int() }).openapi('Retried') },
      },
    },
    ...problems(404),
  },
})

const dismissRoute = createRoute({
  method: 'post',
  path: '/api/v1/dead/{queue}/{id}/dismiss',
  tags: ['Queues'],
  summary: 'Remove a dead letter for good',
  description: 'Meant for one whose work is finished. The rows of the catalogue are not changed.',
  security: SECURITY,
  request: { params: letterParams },
  responses: {
    200: {
      description: 'The dead letter was removed',
      content: {
        'application/json': { schema: z.strictObject({ queue, dismissed: z.int() }).openapi('Dismissed') },
      },
    },
    ...problems(404),
  },
})

/** Work has a row in the catalogue, or only its message. */
const earliest = (...times: readonly (Date | null | undefined)[]): Date | undefined =>
  times.filter((at) => at != null).toSorted((a, b) => a.getTime() - b.getTime())[0]

export function registerQueues(api: Api, context: Context<'database' | 'queues'>): void {
  const withinTime = (c: ApiContext) => AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(ANSWER_MS)])

  addRoute(api, queuesRoute, OPERATORS, async (c) => {
    const [states, oldest] = await Promise.all([
      queueStates(context, withinTime(c)),
      oldestWork(context.database),
    ])
    const queues = states.map(({ queue, depth, dead, oldest: message }) => ({
      queue,
      waiting: depth?.waiting ?? null,
      inFlight: depth?.inFlight ?? null,
      dead: depth === null ? null : dead,
      oldest: earliest(oldest.get(queue), message)?.toISOString() ?? null,
    }))
    const format = c.req.valid('query').format ?? formatOf(c)
    return format === 'json'
      ? c.json({ queues }, 200)
      : tableOf(context, { name: 'queues', row: queueState }, format, queues)
  })

  addRoute(api, deadRoute, OPERATORS, async (c) => {
    const { queue } = c.req.valid('param')
    const found = await readDeadLetters(context, queue, MOST_SHOWN, withinTime(c))
    const letters = found.map(({ id, sentAt, about, state, isFinished: finished, attempts, lastError }) => ({
      id,
      sentAt: sentAt?.toISOString() ?? null,
      about,
      state,
      finished,
      attempts,
      lastError,
    }))
    const format = c.req.valid('query').format ?? formatOf(c)
    return format === 'json'
      ? c.json({ queue, letters }, 200)
      : tableOf(context, { name: `dead-${queue}`, row: letter }, format, letters)
  })

  /** @throws the refusal 404 when no letter was found. */
  const act = async (c: ApiContext, how: typeof retryChosen, queue: QueueName, id: string, event: string) => {
    const count = await audited(context, c, 'replay', `${event} on ${queue}: ${id}`, async () => {
      const done = await how(context, queue, { ids: [id] }, withinTime(c))
      if (done > 0) return done
      throw refusal(404, `there is no dead letter ${id} on ${queue}, or another process is reading it`)
    })
    context.log.info({ queue, message: id, by: c.get('caller').subject }, event)
    return count
  }

  addRoute(api, retryRoute, OPERATORS, async (c) => {
    const { queue, id } = c.req.valid('param')
    return c.json({ queue, retried: await act(c, retryChosen, queue, id, 'dead-letter-retried') }, 200)
  })

  addRoute(api, dismissRoute, OPERATORS, async (c) => {
    const { queue, id } = c.req.valid('param')
    return c.json({ queue, dismissed: await act(c, dismissChosen, queue, id, 'dead-letter-dismissed') }, 200)
  })
}

/**
 * Health checks for the platform: whether the process is alive, and whether it can serve requests. Open, and
 * reveals nothing else.
 */
import { HeadBucketCommand } from '@aws-sdk/client-s3'
import { createRoute, z } from '@hono/zod-openapi'
import { sql } from 'kysely'
import type { Context } from '../../../shared/context.ts'
import { type Api, addRoute } from '../http/route.ts'

export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz'])

const ANSWER_MS = 3000
/** The route is open to everyone: requests within this time receive the same answer. */
const CACHED_MS = 2000

const health = z.strictObject({ status: z.literal('ok') }).openapi('Health')
const state = z.enum(['ok', 'unavailable'])
const readiness = z.strictObject({ status: state, database: state, store: state }).openapi('Readiness')
type Readiness = z.infer<typeof readiness>

const healthRoute = createRoute({
  method: 'get',
  path: '/healthz',
  tags: ['Health'],
  summary: 'Whether the process is alive',
  responses: { 200: { description: 'It is alive', content: { 'application/json': { schema: health } } } },
})

const readyRoute = createRoute({
  method: 'get',
  path: '/readyz',
  tags: ['Health'],
  summary: 'Whether the catalogue and the store answer',
  responses: {
    200: { description: 'Both answer', content: { 'application/json': { schema: readiness } } },
    503: { description: 'One does not answer', content: { 'application/json': { schema: readiness } } },
  },
})

export function registerHealth(api: Api, context: Context<'database' | 's3'>): void {
  let cached: { readonly at: number; readonly answer: Promise<Readiness> } | null = null

  addRoute(api, healthRoute, { open: true }, (c) => c.json({ status: 'ok' as const }, 200))

  addRoute(api, readyRoute, { open: true }, async (c) => {
    const at = context.now().getTime()
    if (cached === null || Math.abs(at - cached.at) >= CACHED_MS)
      cached = { at, answer: checkReadiness(context) }
    const answer = await cached.answer
    return answer.status === 'ok' ? c.json(answer, 200) : c.json(answer, 503)
  })
}

async function checkReadiness({ database, s3, config, log }: Context<'database' | 's3'>): Promise<Readiness> {
  const [bucket] = config.store.rawBuckets
  const signal = AbortSignal.timeout(ANSWER_MS)
  const answers = async (part: string, asked: Promise<unknown>) => {
    try {
      await Promise.race([asked, ended(signal)])
      return 'ok' as const
    } catch (error) {
      log.warn({ part, error }, 'not-ready')
      return 'unavailable' as const
    }
  }
  const [ofDatabase, ofStore] = await Promise.all([
    answers('database', sql`SELECT 1`.execute(database)),
    answers('store', s3.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal: signal })),
  ])
  const status = ofDatabase === 'ok' && ofStore === 'ok' ? 'ok' : 'unavailable'
  return { status, database: ofDatabase, store: ofStore }
}

/** Rejects at the time limit, since mysql2 has none for a query. */
const ended = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

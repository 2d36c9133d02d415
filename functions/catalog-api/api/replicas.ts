/** Where the data is, by day and tag, and which copies are incomplete. */
import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from '../../../shared/context.ts'
import { CLOUD_WORDS, TAPE_WORDS } from '../../../shared/database/storage-summary.ts'
import { storageByDay } from '../../../shared/queries/dashboard.ts'
import { openCopies } from '../../../shared/queries/site-state.ts'
import { taggedJson } from '../http/etag.ts'
import { type Api, addRoute } from '../http/route.ts'
import { createAllRuns } from './all-runs.ts'
import { FILTERS } from './list-route.ts'
import { problems, SECURITY } from './problems.ts'
import { readableTags } from './readable-tags.ts'

const USUAL_DAYS = 30
const MOST_DAYS = 366
const DAY_MS = 86_400_000

const bytes = z.number().openapi({ description: 'Bytes', example: 3_412_345_678 })

const summary = z
  .strictObject({
    since: z.iso.datetime().openapi({ description: 'Start of the first day, UTC' }),
    all: z
      .array(
        z.strictObject({
          tag: z.string(),
          cloud: z.enum(CLOUD_WORDS),
          tape: z.enum(TAPE_WORDS),
          runs: z.int(),
          sizeBytes: bytes,
        }),
      )
      .openapi({ description: 'All catalogued data by place; at most a minute old' }),
    days: z.array(
      z.strictObject({
        tag: z.string().openapi({ example: 'LNGS' }),
        day: z.iso.date().openapi({ description: 'Day on which the runs began, UTC', example: '2026-01-15' }),
        runs: z.int(),
        takenBytes: bytes,
        localBytes: bytes.openapi({ description: "Of these on the DAQ's disk, as far as reported" }),
        cloudBytes: bytes.openapi({ description: 'Of these in the store' }),
        tapeBytes: bytes.openapi({ description: 'Of these verified on tape, on the medium' }),
      }),
    ),
    backlog: z
      .array(
        z.strictObject({
          tag: z.string(),
          kind: z.enum(['local', 'cloud', 'tape', 'recall']),
          state: z.string().openapi({ example: 'requested' }),
          priority: z.enum(['live', 'backlog']),
          count: z.int(),
          sizeBytes: bytes,
          oldest: z.iso.datetime().openapi({ description: 'When the oldest of these copies was requested' }),
          failing: z
            .int()
            .openapi({ description: 'How many of them are in progress after a failed attempt' }),
          givenUp: z.boolean().openapi({ description: 'Failed, and not tried again by itself' }),
          lastError: z
            .string()
            .nullable()
            .openapi({ description: 'Last error of one of the failing copies' }),
        }),
      )
      .openapi({
        description: 'Copies that are now in progress, failed, missing or suspicious, for runs of any date',
      }),
  })
  .openapi('ReplicaSummary')

export const daysFilter = z
  .string()
  .regex(/^\d{1,3}$/, 'expected a number of days')
  .transform(Number)
  .refine((days) => days >= 1 && days <= MOST_DAYS, `from 1 to ${MOST_DAYS} days`)
  .openapi({
    description: `Number of days up to and including today; default ${USUAL_DAYS}`,
    type: 'integer',
    minimum: 1,
    maximum: MOST_DAYS,
  })
  .optional()

/** From midnight (UTC), so that the first day is complete. */
export const sinceOfDays = (days: number | undefined, now: Date): Date =>
  new Date((Math.floor(now.getTime() / DAY_MS) - (days ?? USUAL_DAYS) + 1) * DAY_MS)

const query = z.strictObject({ tag: FILTERS.tag, days: daysFilter })

const summaryRoute = createRoute({
  method: 'get',
  path: '/api/v1/replicas/summary',
  tags: ['Replicas'],
  summary: 'Volume by place, day and tag, and the copies in progress',
  security: SECURITY,
  request: { query },
  responses: {
    200: { description: 'The summary', content: { 'application/json': { schema: summary } } },
    304: { description: 'Nothing has changed: the ETag is the one in If-None-Match' },
    ...problems(404),
  },
})

export function registerReplicaSummary(api: Api, { database, now }: Context<'database'>): void {
  const allRuns = createAllRuns({ database, now })
  addRoute(api, summaryRoute, { right: 'read', anyTag: true }, async (c) => {
    const { tag = null, days } = c.req.valid('query')
    const tags = await readableTags({ database }, c, tag)
    const since = sinceOfDays(days, now())
    const [all, byDay, open] = await Promise.all([
      allRuns(tags),
      storageByDay(database, tags, since),
      openCopies(database, tags),
    ])
    const backlog = open.map((row) => ({ ...row, oldest: row.oldest.toISOString() }))
    return taggedJson(c, { since: since.toISOString(), all, days: byDay, backlog })
  })
}

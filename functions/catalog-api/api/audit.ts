/** For operators: who used which right on what. */
import { createRoute, z } from '@hono/zod-openapi'
import { listUses } from '../../../shared/access/audit.ts'
import type { Context } from '../../../shared/context.ts'
import { type Api, addRoute } from '../http/route.ts'
import { problems, SECURITY } from './problems.ts'

const MOST_SHOWN = 1000
const SHOWN = 100

const use = z.strictObject({
  id: z.int(),
  at: z.iso.datetime(),
  subject: z.string().openapi({ description: 'person:…, token:… of a machine, shell:… of a command' }),
  name: z.string().openapi({ example: 'ada' }),
  tokenId: z.int().nullable().openapi({ description: 'Of the API token, also a personal one' }),
  action: z.string().openapi({ example: 'recall' }),
  object: z.string().openapi({ example: 'LNGS: 12000, 12001' }),
  requestId: z.string().nullable().openapi({ description: 'As in the header x-request-id of the answer' }),
  outcome: z.string().nullable().openapi({
    description: 'done, or why not; null while in progress, and after a process died',
    example: 'done',
  }),
})

const route = createRoute({
  method: 'get',
  path: '/api/v1/audit',
  tags: ['Access'],
  summary: 'Uses of rights that change something, the newest first',
  security: SECURITY,
  request: {
    query: z.strictObject({
      subject: z.string().min(1).max(300).optional().openapi({
        description: 'Only uses of this person, token or shell user',
        example: 'person:7f3f4a0e',
      }),
      before: z.coerce
        .number()
        .int()
        .min(1)
        .max(Number.MAX_SAFE_INTEGER)
        .optional()
        .openapi({ description: 'Only uses before this id' }),
      limit: z.coerce.number().int().min(1).max(MOST_SHOWN).default(SHOWN),
    }),
  },
  responses: {
    200: {
      description: 'The uses',
      content: {
        'application/json': { schema: z.strictObject({ uses: z.array(use) }).openapi('Audit') },
      },
    },
    ...problems(),
  },
})

export function registerAudit(api: Api, { database }: Pick<Context<'database'>, 'database'>): void {
  addRoute(api, route, { right: 'operate', everyTag: true }, async (c) => {
    const { subject, before, limit } = c.req.valid('query')
    const uses = await listUses(database, {
      limit,
      ...(subject === undefined ? {} : { subject }),
      ...(before === undefined ? {} : { before }),
    })
    return c.json({ uses: uses.map(({ usedAt, ...rest }) => ({ ...rest, at: usedAt.toISOString() })) }, 200)
  })
}

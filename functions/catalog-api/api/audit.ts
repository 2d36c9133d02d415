/** For operators: who used which right on what. */
import { createRoute, z } from '@hono/zod-openapi'
import { listUses, type WantedUses } from '../../../shared/access/audit.ts'
import type { AuditedUse } from '../../../shared/access/schema.ts'
import type { Context } from '../../../shared/context.ts'
import type { Database } from '../../../shared/database/connect.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addRoute } from '../http/route.ts'
import { formatOf } from '../http/table-answer.ts'
import { formatFilter, LARGEST_LIMIT, table } from './list-route.ts'
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
    description: 'done, or why not, or not all; null while in progress, and after a process died',
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
      limit: z.coerce
        .number()
        .int()
        .min(1)
        .max(LARGEST_LIMIT)
        .optional()
        .openapi({
          description: `Maximum number of uses: up to ${MOST_SHOWN} as JSON (default ${SHOWN}); as NDJSON and CSV, all by default`,
        }),
      format: formatFilter,
    }),
  },
  responses: {
    200: {
      description: 'The uses',
      content: {
        'application/json': { schema: z.strictObject({ uses: z.array(use) }).openapi('Audit') },
        'application/x-ndjson': { schema: use },
        'text/csv': { schema: z.string() },
      },
    },
    ...problems(),
  },
})

export function registerAudit(
  api: Api,
  { database, log }: Pick<Context<'database'>, 'database' | 'log'>,
): void {
  addRoute(api, route, { right: 'operate', everyTag: true }, async (c) => {
    const { subject, before, limit, format = formatOf(c) } = c.req.valid('query')
    const of = { ...(subject === undefined ? {} : { subject }), ...(before === undefined ? {} : { before }) }
    if (format !== 'json')
      return table({ log }, { name: 'audit', row: use }, format, allUses(database, { ...of, limit }))
    if (limit !== undefined && limit > MOST_SHOWN)
      throw refusal(400, `limit: a page has at most ${MOST_SHOWN} uses; NDJSON and CSV have no limit`)
    const uses = await listUses(database, { ...of, limit: limit ?? SHOWN })
    return c.json({ uses: uses.map(shown) }, 200, { vary: 'accept' })
  })
}

const shown = ({ usedAt, ...rest }: AuditedUse) => ({ ...rest, at: usedAt.toISOString() })

async function* allUses(
  database: Database,
  {
    limit = Number.POSITIVE_INFINITY,
    ...of
  }: Omit<WantedUses, 'limit'> & { readonly limit: number | undefined },
) {
  let { before } = of
  for (let left = limit; left > 0; ) {
    const page = { ...of, ...(before === undefined ? {} : { before }), limit: Math.min(left, MOST_SHOWN) }
    const uses = await listUses(database, page)
    yield uses.map(shown)
    before = uses.at(-1)?.id
    if (before === undefined) return
    left -= uses.length
  }
}

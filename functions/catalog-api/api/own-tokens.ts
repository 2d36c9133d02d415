/** Personal tokens for programs: a person makes them with at most the own rights, lists and revokes them. */
import { createRoute, z } from '@hono/zod-openapi'
import { confirmIfKnown } from '../../../shared/access/people.ts'
import { type ListedToken, LONGEST_PERSONAL_DAYS, stateOf } from '../../../shared/access/tokens.ts'
import type { Context } from '../../../shared/context.ts'
import { makeOwnToken, ownTokens, revokeOwnToken } from '../access/personal-tokens.ts'
import { type Api, addRoute, type Rule } from '../http/route.ts'
import { problems, SECURITY } from './problems.ts'

const PERSON: Rule = { person: true }

const time = z.iso.datetime()
const token = z.strictObject({
  id: z.int(),
  name: z.string().openapi({ example: 'notebook' }),
  scopes: z.array(z.string()).openapi({ example: ['read:LNGS', 'link:LNGS'] }),
  state: z.enum(['valid', 'expired', 'revoked']),
  createdAt: time,
  expiresAt: time,
  revokedAt: time.nullable(),
  lastUsedAt: time.nullable(),
})

const wantedToken = z.strictObject({
  name: z.string().min(1).max(100).openapi({ example: 'notebook' }),
  scopes: z
    .array(z.string().max(300))
    .min(1)
    .max(100)
    .openapi({ example: ['read:LNGS', 'link:LNGS'] }),
  days: z.int().min(1).max(LONGEST_PERSONAL_DAYS).default(30),
})

const SLEEP =
  'A personal token grants at most what its person may do, and only while the IAM confirmed that within the last hour. With a lasting sign-in (on the page /tokens) the service asks the IAM by itself; without one, tokens sleep until the person signs in again.'

const listRoute = createRoute({
  method: 'get',
  path: '/api/v1/me/tokens',
  tags: ['Access'],
  summary: 'The personal tokens of the caller',
  description: SLEEP,
  security: SECURITY,
  responses: {
    200: {
      description: 'The tokens, without their secrets',
      content: {
        'application/json': {
          schema: z
            .strictObject({
              tokens: z.array(token),
              lasting: z.boolean().openapi({ description: 'Whether there is a lasting sign-in' }),
            })
            .openapi('OwnTokens'),
        },
      },
    },
    ...problems(),
  },
})

const makeRoute = createRoute({
  method: 'post',
  path: '/api/v1/me/tokens',
  tags: ['Access'],
  summary: 'Make a personal token',
  description: `Only for a signed-in person, not with an API token. ${SLEEP}`,
  security: SECURITY,
  request: {
    body: { required: true, content: { 'application/json': { schema: wantedToken.openapi('NewOwnToken') } } },
  },
  responses: {
    201: {
      description: 'The token. Its secret is returned only here',
      content: {
        'application/json': {
          schema: z
            .strictObject({
              id: z.int(),
              token: z.string().openapi({ example: 'cyg_…' }),
              expiresAt: time,
              lasting: z.boolean(),
            })
            .openapi('MadeOwnToken'),
        },
      },
    },
    ...problems(413, 415),
  },
})

const revokeRoute = createRoute({
  method: 'delete',
  path: '/api/v1/me/tokens/{id}',
  tags: ['Access'],
  summary: 'Revoke a personal token of the caller',
  security: SECURITY,
  request: {
    params: z.object({
      id: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).openapi({ example: 7 }),
    }),
  },
  responses: { 204: { description: 'The token is revoked' }, ...problems(404) },
})

export function registerOwnTokens(
  api: Api,
  context: Pick<Context<'database'>, 'database' | 'log' | 'now'>,
): void {
  addRoute(api, listRoute, PERSON, async (c) => {
    const { subject, name, scopes, confirmedAt } = c.get('caller')
    if (confirmedAt !== undefined)
      await confirmIfKnown(context.database, { subject, name, scopes, confirmedAt })
    const { tokens, isLasting: lasting } = await ownTokens(context, c)
    return c.json({ tokens: tokens.map((each) => tokenView(each, context.now())), lasting }, 200)
  })

  addRoute(api, makeRoute, PERSON, async (c) => {
    const { id, secret, expiresAt } = await makeOwnToken(context, c, c.req.valid('json'))
    const { isLasting: lasting } = await ownTokens(context, c)
    return c.json({ id, token: secret, expiresAt: expiresAt.toISOString(), lasting }, 201)
  })

  addRoute(api, revokeRoute, PERSON, async (c) => {
    await revokeOwnToken(context, c, c.req.valid('param').id)
    return c.body(null, 204)
  })
}

const tokenView = (each: ListedToken, at: Date) => ({
  id: each.id,
  name: each.name,
  scopes: [...each.scopes],
  state: stateOf(each, at),
  createdAt: each.createdAt.toISOString(),
  expiresAt: each.expiresAt.toISOString(),
  revokedAt: each.revokedAt?.toISOString() ?? null,
  lastUsedAt: each.lastUsedAt?.toISOString() ?? null,
})

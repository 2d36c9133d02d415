/** For programs that sign people in: where to sign in, and the identity and rights of the caller. */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import type { Config } from '../../../shared/config/config.ts'
import { type Api, addRoute } from '../http/route.ts'
import { problems } from './problems.ts'

const meRoute = createRoute({
  method: 'get',
  path: '/api/v1/me',
  tags: ['Access'],
  summary: 'The caller and their rights',
  responses: {
    200: {
      description: 'Of the token or session of the request; `anonymous` without one',
      content: {
        'application/json': {
          schema: z.object({
            kind: z.enum(['anonymous', 'token', 'person']),
            name: z.string().openapi({ example: 'ada' }),
            scopes: z.array(z.string()).openapi({ example: ['read:LNGS', 'link:*'] }),
          }),
        },
      },
    },
    ...problems(),
  },
})

const settingsRoute = createRoute({
  method: 'get',
  path: '/api/v1/sign-in-settings',
  tags: ['Access'],
  summary: 'How a program signs a person in (OAuth 2.0 device flow)',
  responses: {
    200: {
      description: 'The IAM and the public client for programs; null where there is none',
      content: {
        'application/json': {
          schema: z.object({
            issuer: z.string().nullable().openapi({ example: 'https://iam.example.org/' }),
            clientId: z.string().nullable().openapi({ example: 'cygnet-cli' }),
            audience: z.string().openapi({ example: 'cygnet' }),
          }),
        },
      },
    },
    ...problems(),
  },
})

export function registerMe(api: Api, config: Config): void {
  addRoute(api, meRoute, { open: true }, (c) => {
    const { kind, name, scopes } = c.get('caller')
    return c.json({ kind, name, scopes: [...scopes] }, 200)
  })
  const {
    access: { oidcIssuer: issuer = null, oidcCliClientId: clientId = null, oidcAudience: audience },
  } = config
  addRoute(api, settingsRoute, { open: true }, (c) => c.json({ issuer, clientId, audience }, 200))
}

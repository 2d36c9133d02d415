/** For operators: signs a person out everywhere, for example if a cookie may have been stolen. */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import { endSessionsOf } from '../../../shared/access/ended-sessions.ts'
import type { Context } from '../../../shared/context.ts'
import { SESSION_SECONDS } from '../access/session.ts'
import { type Api, addRoute } from '../http/route.ts'
import { problems, SECURITY } from './problems.ts'

const route = createRoute({
  method: 'delete',
  path: '/api/v1/sessions',
  tags: ['Access'],
  summary: 'End all browser sessions of a person',
  description:
    'The person may sign in again, unless the IAM forbids it. API tokens and tokens of the IAM are not ended: those of `cygnet login` are valid until they expire.',
  security: SECURITY,
  request: {
    query: z.object({
      subject: z
        .string()
        .refine((text) => /^person:[^\p{Cc}]{1,255}$/u.test(text), 'expected a subject, person:…')
        .openapi({
          description: 'As in the log line of the sign-in',
          example: 'person:7f3f4a0e-0b8e-4a9c-8a5e-1f2d3c4b5a69',
        }),
    }),
  },
  responses: { 204: { description: 'The sessions are ended' }, ...problems() },
})

export function registerSessions(
  api: Api,
  { database, log, now }: Pick<Context<'database'>, 'database' | 'log' | 'now'>,
): void {
  addRoute(api, route, { right: 'operate', everyTag: true }, async (c) => {
    const { subject } = c.req.valid('query')
    const at = now()
    await endSessionsOf(database, subject, at, new Date(at.getTime() + SESSION_SECONDS * 1000))
    log.info({ subject, by: c.get('caller').subject }, 'sessions-ended')
    return c.body(null, 204)
  })
}

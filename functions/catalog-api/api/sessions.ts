/** For operators: everybody whose cookie somebody else may have is signed out everywhere. */
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
  summary: 'End all sessions that a person has in browsers',
  description:
    'The person may sign in again, unless the IAM says otherwise. It ends no API token, and no token of the IAM: those of `cygnet login` go on until they expire.',
  security: SECURITY,
  request: {
    query: z.object({
      subject: z
        .string()
        .refine((text) => /^person:[^\p{Cc}]{1,255}$/u.test(text), 'a subject is written person:…')
        .openapi({
          description: 'As the log names who signed in',
          example: 'person:7f3f4a0e-0b8e-4a9c-8a5e-1f2d3c4b5a69',
        }),
    }),
  },
  responses: { 204: { description: 'None of them is good any more' }, ...problems() },
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

/** For operators: signs a person out everywhere, for example if a cookie may have been stolen. */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import { endSessionsOf } from '../../../shared/access/ended-sessions.ts'
import { keepLastingSignIn } from '../../../shared/access/people.ts'
import { revokeTokensOf } from '../../../shared/access/tokens.ts'
import type { Context } from '../../../shared/context.ts'
import { audited } from '../access/audited.ts'
import { SESSION_SECONDS } from '../access/session.ts'
import { type Api, addRoute } from '../http/route.ts'
import { problems, SECURITY } from './problems.ts'

const route = createRoute({
  method: 'delete',
  path: '/api/v1/sessions',
  tags: ['Access'],
  summary: 'End all browser sessions and personal tokens of a person',
  description:
    'The person may sign in again, unless the IAM forbids it. API tokens of machines and tokens of the IAM are not ended: those of `cygnet login` are valid for an hour at most.',
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
  context: Pick<Context<'database'>, 'database' | 'log' | 'now'>,
): void {
  const { database, log, now } = context
  addRoute(api, route, { right: 'operate', everyTag: true }, async (c) => {
    const { subject } = c.req.valid('query')
    const at = now()
    await audited(context, c, 'operate', `all sessions and personal tokens of ${subject}`, async () => {
      await endSessionsOf(database, subject, at, new Date(at.getTime() + SESSION_SECONDS * 1000))
      // Somebody with a copied cookie may have made tokens.
      await revokeTokensOf(database, subject, 'all', at)
      await keepLastingSignIn(database, subject, null)
    })
    log.info({ subject, by: c.get('caller').subject }, 'sessions-ended')
    return c.body(null, 204)
  })
}

/** For an Alertmanager, whose alerts then reach the same people in the same way as Cygnet's own. */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import { notification, requestsOf } from '../../../shared/alerts/alertmanager.ts'
import type { Context } from '../../../shared/context.ts'
import { addRequests } from '../../../shared/work/outbox.ts'
import { sendRequests } from '../../../shared/work/send-requests.ts'
import { type Api, addRoute, type Rule } from '../http/route.ts'
import { problems, SECURITY } from './problems.ts'

/** An Alertmanager has alerts of all tags and of none. */
const RULE: Rule = { right: 'alert', everyTag: true }
const SEND_MS = 5_000

const route = createRoute({
  method: 'post',
  path: '/api/v1/alerts/alertmanager',
  tags: ['Alerts'],
  summary: 'Report alerts of an Alertmanager',
  description:
    'The address of a webhook receiver (version 4 of its payload), see docs/deploy/alerts.md. The same alert counts at most once an hour, however often it is sent.',
  security: SECURITY,
  request: { body: { required: true, content: { 'application/json': { schema: notification } } } },
  responses: {
    200: {
      description: 'The alerts are recorded, and will be shown',
      content: { 'application/json': { schema: z.object({ recorded: z.int() }) } },
    },
    ...problems(413, 415),
  },
})

export function registerAlertmanager(api: Api, context: Context<'database' | 'queues'>): void {
  addRoute(api, route, RULE, async (c) => {
    const { database, log, now } = context
    const given = c.req.valid('json')
    const at = now()
    const requests = await requestsOf(database, given, at)
    await addRequests(database, requests, at)
    await sendRequests(context, requests, AbortSignal.timeout(SEND_MS))
    const { name, subject } = c.get('caller')
    log.info({ receiver: given.receiver, alerts: given.alerts.length, name, subject }, 'external-alerts')
    return c.json({ recorded: given.alerts.length }, 200)
  })
}

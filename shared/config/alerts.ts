/** Alerts: channels, who is told of what, escalation. */
import * as z from 'zod'
import { positive, setting, text } from './setting.ts'

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'expected a name like shift-lngs')
function discordId(of: string) {
  // Without quotes JSON.parse would round it.
  const error = `expected the id of a ${of} of Discord, in quotes`
  return z.string({ error }).regex(/^\d{15,21}$/, error)
}

/** A place where messages are shown. */
const channel = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('discord'), channelId: discordId('channel') }),
    z.strictObject({
      type: z.literal('webhook'),
      url: z.url({ protocol: /^https?$/, error: 'expected an address that begins with https:// or http://' }),
      token: z.string().min(1).optional(),
    }),
  ],
  { error: 'expected "discord" or "webhook"' },
)

/** An alert goes to the channels of every route that matches; a list that is left out matches all. */
const route = z.strictObject({
  severities: z
    .array(z.enum(['info', 'warning', 'error', 'page']))
    .min(1)
    .optional(),
  tags: z.array(z.string().min(1)).min(1).optional(),
  rules: z.array(z.string().min(1)).min(1).optional(),
  channels: z.array(name).min(1),
})

const alerting = z
  .strictObject({
    channels: z.record(name, channel, { error: 'expected names like shift-lngs, with a channel each' }),
    routes: z.array(route).min(1),
    /** Pages that nobody acknowledges: each step after so many minutes, in the channel, with the mention. */
    escalation: z
      .strictObject({
        channel: name,
        /** Of Discord: who is mentioned when the rota names nobody, or nobody acknowledged. */
        roleId: discordId('role').optional(),
        minutes: z.int().min(1).default(10),
        /** Name in the rota → id of the Discord user. */
        people: z.record(z.string(), discordId('user')).default({}),
      })
      .refine(({ roleId, people }) => roleId !== undefined || Object.keys(people).length > 0, {
        error: 'expected a roleId, or people: it would call nobody',
      })
      .optional(),
  })
  .superRefine(({ channels, routes, escalation }, context) => {
    const unknownIn = (names: readonly string[], path: readonly PropertyKey[]) => {
      for (const one of names.filter((each) => !Object.hasOwn(channels, each)))
        context.addIssue({ code: 'custom', path: [...path], message: `there is no channel "${one}"` })
    }
    for (const [index, each] of routes.entries()) unknownIn(each.channels, ['routes', index, 'channels'])
    if (escalation !== undefined) unknownIn([escalation.channel], ['escalation', 'channel'])
  })

export type Alerting = z.output<typeof alerting>

const json = z.string().transform((value, context): unknown => {
  try {
    return JSON.parse(value)
  } catch (error) {
    // The rest of the message quotes the text, which may have tokens.
    const [where = ''] = / at position \d+( \(line \d+ column \d+\))?/.exec((error as Error).message) ?? []
    context.addIssue({ code: 'custom', message: `it is not JSON${where && `: see the text${where}`}` })
    return z.NEVER
  }
})

export const alerts = {
  channels: setting(
    'CYGNET_ALERTS',
    json.pipe(alerting).optional(),
    'JSON: channels, routes (by severity, tag and rule) and escalation, see docs/deploy/alerts.md; absent: alerts are shown on the pages only',
    true,
  ),
  discordToken: setting(
    'CYGNET_DISCORD_TOKEN',
    text.optional(),
    'token of the Discord bot that posts alerts',
    true,
  ),
  discordApi: setting(
    'CYGNET_DISCORD_API',
    z.url().default('https://discord.com/api'),
    'address of the Discord API; another one for tests',
  ),
  rota: setting(
    'CYGNET_ROTA_URL',
    z
      .url({ protocol: /^(?:https?|webcal)$/, error: 'expected an address like https://…/shifts.ics' })
      .optional(),
    'address of an iCalendar of the shifts: who is on shift, and who is second, see docs/deploy/alerts.md',
    true,
  ),
  runbook: setting(
    'CYGNET_RUNBOOK_URL',
    z.url().optional(),
    'address of docs/runbook.md as people reach it; messages link to its sections',
  ),
  digestOver: setting(
    'CYGNET_ALERT_DIGEST_OVER',
    positive.default(5),
    'most messages of one group (rule and tag) in a channel within CYGNET_ALERT_DIGEST_MINUTES; further alerts are listed in one digest',
  ),
  digestMinutes: setting('CYGNET_ALERT_DIGEST_MINUTES', positive.default(10), 'see CYGNET_ALERT_DIGEST_OVER'),
} as const

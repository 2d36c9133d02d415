/** A channel of the stand-in for Discord, for tests. */
import type { Embed } from '../../../infra/local/services/discord/body.ts'
import type { Channel } from '../../../infra/local/services/discord/calls.ts'
import type { Limits } from '../../../infra/local/services/discord/limits.ts'
import { parseMarkdown } from '../../../infra/local/services/discord/markdown.ts'
import { type DiscordServer, type Fault, serveDiscord } from '../../../infra/local/services/discord/server.ts'
import { connectDiscord } from '../../../shared/alerts/channels/discord.ts'
import type { ChannelFixture, Trouble } from './channel-conformance.ts'

export const SHIFT: Channel = { id: '1300000000000000011', name: 'shift' }
const TOKEN = 'MTMwMDAwMDAw.secret.token-of-the-bot'
/** Limits that no test reaches. */
const NO_LIMIT = { requests: 1_000_000, windowMs: 1000 }
export const UNLIMITED: Limits = { bucket: NO_LIMIT, global: NO_LIMIT, invalid: NO_LIMIT }

export interface DiscordFixture extends ChannelFixture {
  readonly server: DiscordServer
}

/** @param limits default: none. */
export async function startDiscordFixture(
  limits = UNLIMITED,
  { name = SHIFT.name, now: clock = () => new Date() }: { name?: string; now?: () => Date } = {},
): Promise<DiscordFixture> {
  let lateMs = 0
  const now = () => new Date(clock().getTime() + lateMs)
  const server = await serveDiscord({ token: TOKEN, channels: [SHIFT], limits, now })
  const faults: Partial<Record<Trouble, Fault>> = {
    unavailable: { kind: 'status', status: 503 },
    'request-lost': { kind: 'drop', when: 'before' },
    'answer-lost': { kind: 'drop', when: 'after' },
    silent: { kind: 'hang', when: 'before' },
    'rate-limited': { kind: 'rate-limit', seconds: 1 },
    'message-refused': { kind: 'status', status: 400 },
  }
  return {
    server,
    channel: connectDiscord({ token: TOKEN, api: server.api })(name, SHIFT.id),
    secret: TOKEN,
    shown: () =>
      server.messages.list(SHIFT.id, { limit: 100_000 }).map(({ id, embeds, notified, attachments }) => ({
        id,
        text: embeds.map(readText).join('\n'),
        notified: [...notified.users, ...notified.roles, ...(notified.everyone ? ['everyone'] : [])],
        files: attachments.map(({ filename, bytes }) => ({ name: filename, bytes })),
      })),
    delete: (id) => void server.messages.delete(SHIFT.id, id),
    forget: () => {
      lateMs += 3_600_000
    },
    setTrouble(trouble) {
      const fault = trouble === null ? undefined : faults[trouble]
      server.setFault(fault === undefined ? null : () => fault)
      server.setToken(trouble === 'token-revoked' ? null : TOKEN)
      server.setChannels(trouble === 'channel-unknown' ? [] : [SHIFT])
    },
    close: () => server.close(),
  }
}

/** The texts of an embed as they are read. */
function readText({ title = '', description = '', fields = [], footer }: Embed): string {
  const read = (markdown: string) =>
    parseMarkdown(markdown)
      .map((span) => {
        if (span.kind === 'link') return `${span.label} ${span.url}`
        return span.kind === 'time' ? span.at.toISOString() : span.text
      })
      .join('')
  return [title, description, ...fields.flatMap(({ name, value }) => [name, value])]
    .map(read)
    .concat(footer?.text ?? '')
    .join('\n')
}

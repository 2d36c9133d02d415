/**
 * The channels of the stand-in for Discord and their messages, in memory. What a message does is as documented in
 * https://docs.discord.com/developers/resources/message
 */
import type { AllowedMentions, Embed, MessageBody } from './body.ts'

/** https://docs.discord.com/developers/reference#snowflakes */
const DISCORD_EPOCH_MS = 1_420_070_400_000n
const TIME_SHIFT = 22n

export interface Attachment {
  readonly id: string
  readonly filename: string
  readonly contentType: string
  readonly bytes: Uint8Array
}

export interface Message {
  readonly id: string
  readonly channelId: string
  readonly authorId: string
  readonly content: string
  readonly embeds: readonly Embed[]
  readonly attachments: readonly Attachment[]
  readonly postedAt: Date
  readonly editedAt: Date | null
  /** Whom the post notified. */
  readonly notified: Mentions
}

export interface Mentions {
  readonly users: readonly string[]
  readonly roles: readonly string[]
  readonly everyone: boolean
}

export interface Upload {
  readonly filename: string
  readonly contentType: string
  readonly bytes: Uint8Array
}

export interface Messages {
  /** Newest first. */
  list(channelId: string, range: Range): readonly Message[]
  get(channelId: string, id: string): Message | null
  /** `unknown`: this nonce belongs to a message that was deleted. */
  post(channelId: string, authorId: string, body: MessageBody, files: readonly Upload[]): Message | 'unknown'
  edit(message: Message, body: MessageBody, files: readonly Upload[]): Message
  delete(channelId: string, id: string): boolean
}

export interface Range {
  readonly limit: number
  readonly before?: string
  readonly after?: string
}

/**
 * @param nonceMs for how long a nonce is remembered: "the past few minutes".
 * @param onChange is called with all messages after each change.
 */
export function createMessages({
  now,
  nonceMs,
  stored = [],
  onChange = () => {},
}: {
  readonly now: () => Date
  readonly nonceMs: number
  readonly stored?: readonly Message[]
  readonly onChange?: (messages: readonly Message[]) => void
}): Messages {
  const messages = new Map(stored.map((message) => [message.id, message]))
  const save = (message: Message) => {
    messages.set(message.id, message)
    onChange([...messages.values()])
    return message
  }
  const nonces = new Map<string, { readonly id: string; readonly until: number }>()
  let increment = 0n
  const nextId = () =>
    String(((BigInt(now().getTime()) - DISCORD_EPOCH_MS) << TIME_SHIFT) | (increment++ & 0xfffffn))
  const attach = (files: readonly Upload[]): Attachment[] => files.map((file) => ({ ...file, id: nextId() }))
  const get = (channelId: string, id: string) => {
    const message = messages.get(id)
    return message?.channelId === channelId ? message : null
  }
  return {
    list(channelId, { limit, before, after }) {
      const all = [...messages.values()]
        .filter((message) => message.channelId === channelId)
        .filter(({ id }) => before === undefined || BigInt(id) < BigInt(before))
        .filter(({ id }) => after === undefined || BigInt(id) > BigInt(after))
        .toSorted((a, b) => (BigInt(a.id) < BigInt(b.id) ? 1 : -1))
      // After a message come those that follow it, not the newest of the channel.
      return after === undefined ? all.slice(0, limit) : all.slice(-limit)
    },
    get,
    post(channelId, authorId, body, files) {
      const nonce =
        body.enforce_nonce === true && body.nonce !== undefined ? `${authorId} ${body.nonce}` : null
      const known = nonce === null ? undefined : nonces.get(nonce)
      if (known !== undefined && known.until > now().getTime()) return messages.get(known.id) ?? 'unknown'
      const content = body.content ?? ''
      const message: Message = {
        id: nextId(),
        channelId,
        authorId,
        content,
        embeds: body.embeds ?? [],
        attachments: attach(files),
        postedAt: now(),
        editedAt: null,
        notified: mentionsOf(content, body.allowed_mentions ?? {}),
      }
      if (nonce !== null) nonces.set(nonce, { id: message.id, until: now().getTime() + nonceMs })
      return save(message)
    },
    edit(message, body, files) {
      const kept = body.attachments?.map(({ id }) => id)
      return save({
        ...message,
        content: body.content ?? message.content,
        embeds: body.embeds ?? message.embeds,
        attachments: [
          ...message.attachments.filter(({ id }) => kept === undefined || kept.includes(id)),
          ...attach(files),
        ],
        editedAt: now(),
      })
    },
    delete(channelId, id) {
      if (get(channelId, id) === null) return false
      messages.delete(id)
      onChange([...messages.values()])
      return true
    },
  }
}

const MENTION_EVERYONE = /@(?:everyone|here)\b/

/**
 * Who is notified: only who is mentioned in the content, never in an embed, and allowed. Without `allowed_mentions`
 * all mentions count.
 * https://docs.discord.com/developers/resources/message#allowed-mentions-object
 */
function mentionsOf(content: string, allowed: AllowedMentions): Mentions {
  const isDefault = Object.keys(allowed).length === 0
  const { parse = isDefault ? ['users', 'roles', 'everyone'] : [], users = [], roles = [] } = allowed
  const idsOf = (pattern: RegExp) => [...content.matchAll(pattern)].map(([, id = '']) => id)
  return {
    users: idsOf(/<@!?(\d+)>/g).filter((id) => parse.includes('users') || users.includes(id)),
    roles: idsOf(/<@&(\d+)>/g).filter((id) => parse.includes('roles') || roles.includes(id)),
    everyone: parse.includes('everyone') && MENTION_EVERYONE.test(content),
  }
}

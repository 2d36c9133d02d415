/**
 * The calls of channels and messages: https://docs.discord.com/developers/resources/message and
 * https://docs.discord.com/developers/resources/channel
 */
import type { IncomingMessage } from 'node:http'
import {
  type Answer,
  invalidForm,
  MISSING_ACCESS,
  MISSING_PERMISSIONS,
  problem,
  UNKNOWN_CHANNEL,
  UNKNOWN_MESSAGE,
} from './answers.ts'
import { readForm } from './form.ts'
import type { Message, Messages } from './messages.ts'

export interface Channel {
  readonly id: string
  readonly name: string
  /** What the bot may do; default: everything that it needs. */
  readonly permissions?: { readonly view?: boolean; readonly send?: boolean; readonly history?: boolean }
}

/** The user of the bot. */
export const BOT_ID = '1300000000000000001'
export const BOT = { id: BOT_ID, username: 'cygnet', discriminator: '0000', avatar: null, bot: true }

interface Call {
  readonly channel: Channel
  readonly messages: Messages
  /** Empty where the call is about no single one. */
  readonly messageId: string
  readonly query: URLSearchParams
  readonly request: IncomingMessage
  /** Null: it is too large. */
  readonly body: Buffer | null
  /** Of the server, for the addresses of attachments. */
  readonly origin: string
}

/** @returns the name of the call, for its rate limit, and the call; null for an unknown one. */
export function callOf(
  method: string,
  path: string,
): {
  readonly route: string
  readonly channelId: string
  readonly messageId: string
  run(call: Omit<Call, 'channel'>, channel: Channel | undefined): Promise<Answer>
} | null {
  const match = /^\/channels\/([^/]+)(\/messages(?:\/([^/]+))?)?$/.exec(path)
  if (match === null) return null
  const [, channelId = '', isOfMessages, messageId] = match
  const suffix = isOfMessages === undefined ? '' : messageId === undefined ? '/messages' : '/messages/:id'
  const route = `${method} /channels/:id${suffix}`
  const call = CALLS[route]
  if (call === undefined) return null
  return {
    route,
    channelId,
    messageId: messageId ?? '',
    async run(given, channel) {
      for (const [name, id] of Object.entries({ channel_id: channelId, message_id: messageId }))
        if (id !== undefined && !/^\d{15,21}$/.test(id))
          return oneError(name, 'NUMBER_TYPE_COERCE', `Value "${id}" is not snowflake.`)
      if (channel === undefined) return UNKNOWN_CHANNEL
      return channel.permissions?.view === false ? MISSING_ACCESS : await call({ ...given, channel })
    },
  }
}

const oneError = (name: string, code: string, message: string): Answer =>
  invalidForm({ [name]: { _errors: [{ code, message }] } })

const CALLS: Readonly<Record<string, (call: Call) => Answer | Promise<Answer>>> = {
  'GET /channels/:id': ({ channel: { id, name } }) => ({ status: 200, body: { id, name, type: 0 } }),
  'GET /channels/:id/messages': ({ channel, messages, query, origin }) => {
    const limit = Number(query.get('limit') ?? 50)
    if (!Number.isInteger(limit) || limit < 1 || limit > 100)
      return oneError('limit', 'NUMBER_TYPE_MAX', 'int value should be between 1 and 100.')
    const [before, after] = [query.get('before'), query.get('after')]
    const range = { limit, ...(before !== null && { before }), ...(after !== null && { after }) }
    const found = channel.permissions?.history === false ? [] : messages.list(channel.id, range)
    return { status: 200, body: found.map((message) => shape(message, origin)) }
  },
  'GET /channels/:id/messages/:id': ({ channel, messages, messageId, origin }) => {
    const message = messages.get(channel.id, messageId)
    return message === null ? UNKNOWN_MESSAGE : { status: 200, body: shape(message, origin) }
  },
  'POST /channels/:id/messages': async ({ channel, messages, request, body, origin }) => {
    if (channel.permissions?.send === false) return MISSING_PERMISSIONS
    const form = await readForm(request, body)
    if ('status' in form) return form
    const { content = '', embeds = [], nonce } = form.body
    if (content.trim() === '' && embeds.length === 0 && form.files.length === 0)
      return problem(400, 50_006, 'Cannot send an empty message')
    const message = messages.post(channel.id, BOT_ID, form.body, form.files)
    return message === 'unknown'
      ? UNKNOWN_MESSAGE
      : { status: 200, body: { ...shape(message, origin), nonce } }
  },
  'PATCH /channels/:id/messages/:id': async ({ channel, messages, messageId, request, body, origin }) => {
    const message = messages.get(channel.id, messageId)
    if (message === null) return UNKNOWN_MESSAGE
    if (message.authorId !== BOT_ID)
      return problem(403, 50_005, 'Cannot edit a message authored by another user')
    const form = await readForm(request, body)
    if ('status' in form) return form
    return { status: 200, body: shape(messages.edit(message, form.body, form.files), origin) }
  },
  'DELETE /channels/:id/messages/:id': ({ channel, messages, messageId }) =>
    messages.delete(channel.id, messageId) ? { status: 204 } : UNKNOWN_MESSAGE,
}

/** A message as the API states it: without its nonce, which only the answer to the post has. */
const shape = (message: Message, origin: string) => ({
  id: message.id,
  type: 0,
  channel_id: message.channelId,
  author: message.authorId === BOT_ID ? BOT : { id: message.authorId, username: 'someone' },
  content: message.content,
  embeds: message.embeds.map((embed) => ({ type: 'rich', ...embed })),
  attachments: message.attachments.map(({ id, filename, contentType, bytes }) => ({
    id,
    filename,
    content_type: contentType,
    size: bytes.length,
    url: `${origin}${attachmentPath(message, id, filename)}`,
  })),
  timestamp: message.postedAt.toISOString(),
  edited_timestamp: message.editedAt?.toISOString() ?? null,
  mentions: message.notified.users.map((id) => ({ id })),
  mention_roles: message.notified.roles,
  mention_everyone: message.notified.everyone,
  pinned: false,
  tts: false,
  flags: 0,
})

export const attachmentPath = (
  { channelId, id: messageId }: Pick<Message, 'channelId' | 'id'>,
  id: string,
  filename: string,
): string => `/attachments/${channelId}/${messageId}/${id}/${encodeURIComponent(filename)}`

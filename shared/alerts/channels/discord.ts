/**
 * Channels of Discord, by its REST API with the token of a bot. discord.js's own client keeps the limits that Discord
 * states; here it never waits long for one: the caller does.
 *
 * @example
 * const channelOf = connectDiscord({ token, api: 'https://discord.com/api' })
 * const shift = channelOf('shift-lngs', '1300000000000000123')
 */
import { createHash } from 'node:crypto'
import { DiscordAPIError, HTTPError, RateLimitError, REST } from '@discordjs/rest'
import * as z from 'zod'
import { classify, type Failure, InvalidInputError, TransientError } from '../../errors.ts'
import { cutText, wellFormed } from '../../text.ts'
import type { AlertChannel, ChannelMessage } from './channel.ts'
import { embedOf, footerOf } from './discord-embed.ts'

const TIMEOUT_MS = 5000
/** A search reads several pages: a short wait is cheaper than beginning again. */
const LONGEST_WAIT_OF_SEARCH_MS = 5000
const PAGE = 100
/** Discord's clock may differ from that of `since`. */
const CLOCK_MARGIN_MS = 300_000
/** Discord accepts 10 to 25 MiB, depending on the year and the server. */
const LARGEST_ATTACHMENT_BYTES = 8 * 1024 * 1024
/** Mentions of one message: what fits into 2000 characters. */
const MOST_MENTIONS = 50
/** How often in a row a message may have been deleted by a person before its post was recorded. */
const MOST_NONCES = 3

/** https://docs.discord.com/developers/topics/opcodes-and-status-codes#json */
const UNKNOWN_MESSAGE = 10_008
/** Unknown channel, no access, no text channel, no permission. */
const OF_THE_CHANNEL: readonly unknown[] = [10_003, 50_001, 50_008, 50_013]

const embedShape = z.object({
  title: z.string().optional(),
  description: z.string().optional(),
  color: z.number().optional(),
  fields: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
  footer: z.object({ text: z.string() }).optional(),
})
const userShape = z.object({ id: z.string() })
const messageShape = z.object({ id: z.string(), author: userShape, embeds: z.array(embedShape) })
type Posted = z.output<typeof messageShape>

/** @returns a channel by its name in the configuration and its id. All share what is known of the limits. */
export function connectDiscord(options: {
  readonly token: string
  /** Without the version: `https://discord.com/api` */
  readonly api: string
}): (name: string, channelId: string) => AlertChannel {
  const rest = new REST({
    version: '10',
    api: options.api.replace(/\/+$/, ''),
    retries: 0,
    timeout: TIMEOUT_MS,
    rejectOnRateLimit: ({ method, timeToReset }) =>
      method !== 'GET' || timeToReset > LONGEST_WAIT_OF_SEARCH_MS,
  })
  // Once Discord has refused a token, the client drops it: it is set again, so that the error stays the same.
  const client = () => rest.setToken(options.token)
  let bot: Promise<string> | null = null
  const botId = () => {
    bot ??= client()
      .get('/users/@me')
      .then((user) => parsed(userShape, user).id)
    bot.catch(() => {
      bot = null
    })
    return bot
  }
  return (name, channelId) => createChannel(name, channelId, client, botId)
}

function createChannel(
  name: string,
  channelId: string,
  client: () => REST,
  botId: () => Promise<string>,
): AlertChannel {
  const messages = `/channels/${channelId}/messages` as const
  const named = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw failureOf(error, name)
    }
  }

  const edit: AlertChannel['edit'] = (messageId, message, signal) =>
    named(async () => {
      const body = { embeds: [embedOf(message, pictureOf(message))], allowed_mentions: { parse: [] } }
      try {
        await client().patch(`${messages}/${messageId}`, { body, signal })
        return 'edited'
      } catch (error) {
        if (isUnknownMessage(error)) return 'gone'
        throw error
      }
    })

  return {
    name,
    dependency: `channel:${name}`,
    edit,
    find: (deliveryId, since, signal) =>
      named(async () => {
        const author = await botId()
        const footer = footerOf(deliveryId)
        const isIt = ({ author: { id }, embeds }: Posted) =>
          id === author && embeds.some((embed) => embed.footer?.text === footer)
        let before: string | null = null
        for (;;) {
          const query: URLSearchParams = new URLSearchParams({
            limit: String(PAGE),
            ...(before !== null && { before }),
          })
          const page: readonly Posted[] = parsed(
            z.array(messageShape),
            await client().get(messages, { query, signal }),
          )
          const found = page.find(isIt)
          if (found !== undefined) return found.id
          const oldest: string | undefined = page.at(-1)?.id
          if (oldest === undefined || page.length < PAGE) return null
          if (timeOf(oldest) < since.getTime() - CLOCK_MARGIN_MS) return null
          before = oldest
        }
      }),
    post: (message, signal) =>
      named(async () => {
        const picture = pictureOf(message)
        const embed = embedOf(message, picture)
        for (let number = 1; number <= MOST_NONCES; number += 1) {
          const posted = await client()
            .post(messages, {
              body: {
                ...mentionsOf(message),
                embeds: [embed],
                nonce: nonceOf(channelId, message.deliveryId, number),
                enforce_nonce: true,
                ...(message.attachment !== null &&
                  isSent(message.attachment) && {
                    attachments: [{ id: '0', description: cutText(wellFormed(message.title), 200) }],
                  }),
              },
              files: filesOf(message),
              signal,
            })
            .catch((error: unknown) => {
              // The message with this nonce was posted, and deleted by a person.
              if (isUnknownMessage(error)) return null
              throw error
            })
          if (posted === null) continue
          const first = parsed(messageShape, posted)
          // The first message of this nonce shows what was known when it was posted.
          if (isSame(first, embed)) return first.id
          if ((await edit(first.id, message, signal)) === 'edited') return first.id
        }
        throw new TransientError(`the message ${message.deliveryId} is deleted as soon as it is posted`)
      }),
  }
}

const isUnknownMessage = (error: unknown): boolean =>
  error instanceof DiscordAPIError && error.code === UNKNOWN_MESSAGE

/** At most 25 characters. Discord remembers it for the bot, not for the channel. */
const nonceOf = (channelId: string, deliveryId: string, number: number): string =>
  createHash('sha256')
    .update(JSON.stringify([channelId, deliveryId, number]))
    .digest('hex')
    .slice(0, 24)

/** https://docs.discord.com/developers/reference#snowflakes */
const timeOf = (snowflake: string): number => Number((BigInt(snowflake) >> 22n) + 1_420_070_400_000n)

const isSame = (
  { embeds: [shown] }: Posted,
  { title, description, color, fields }: ReturnType<typeof embedOf>,
) =>
  shown?.title === title &&
  (shown.description ?? '') === description &&
  shown.color === color &&
  JSON.stringify(shown.fields) === JSON.stringify(fields.map(({ name, value }) => ({ name, value })))

/** Only what is named here is notified, whatever the texts contain. */
function mentionsOf({ mentions }: ChannelMessage) {
  const some = mentions.slice(0, MOST_MENTIONS)
  const idsOf = (wanted: 'user' | 'role') => some.filter(({ kind }) => kind === wanted).map(({ id }) => id)
  const content = some.map(({ kind, id }) => (kind === 'user' ? `<@${id}>` : `<@&${id}>`)).join(' ')
  return {
    ...(content !== '' && { content }),
    allowed_mentions: { parse: [], users: idsOf('user'), roles: idsOf('role') },
  }
}

type Attachment = NonNullable<ChannelMessage['attachment']>

const isSent = ({ bytes }: Attachment): boolean => bytes.length <= LARGEST_ATTACHMENT_BYTES

/** Discord changes other characters, and the embed names the file. */
const fileName = ({ name }: Attachment): string =>
  name
    .replace(/[^A-Za-z0-9._-]+/g, '_')
    .replace(/^[._]+/, '')
    .slice(-80) || 'file'

function filesOf({ attachment }: ChannelMessage) {
  if (attachment === null || !isSent(attachment)) return []
  return [{ name: fileName(attachment), contentType: attachment.contentType, data: attachment.bytes }]
}

/** Of a picture that an embed can show; an edit keeps the file of the post. */
function pictureOf({ attachment }: ChannelMessage): string | null {
  if (attachment === null || !isSent(attachment)) return null
  return /^image\/(?:png|jpeg|gif|webp)$/.test(attachment.contentType) ? fileName(attachment) : null
}

function parsed<T>(schema: z.ZodType<T>, answer: unknown): T {
  const result = schema.safeParse(answer)
  if (!result.success)
    throw new TransientError(`Discord's answer is not understood: ${z.prettifyError(result.error)}`)
  return result.data
}

/** None has the token, the body, or what a caller must not log. */
function failureOf(error: unknown, name: string): Failure {
  if (error instanceof RateLimitError) {
    const { timeToReset, retryAfter, sublimitTimeout } = error
    const retryAfterMs = Math.ceil(Math.max(timeToReset, retryAfter, sublimitTimeout, 0))
    return new TransientError(`Discord asks to wait ${retryAfterMs / 1000} s`, {
      channel: name,
      retryAfterMs,
    })
  }
  if (error instanceof HTTPError)
    return new TransientError(`Discord answered with status ${error.status}`, {
      channel: name,
      httpStatus: error.status,
    })
  if (!(error instanceof DiscordAPIError)) return classify(error)
  const { status, code } = error
  const details = { channel: name, httpStatus: status, error: `Discord ${code}` }
  const reason = `Discord answered "${error.message}" (${status}, code ${code})`
  if (status === 401)
    return new TransientError(`needs an operator: CYGNET_DISCORD_TOKEN is not accepted: ${reason}`, {
      ...details,
      operator: true,
    })
  if (status === 403 || OF_THE_CHANNEL.includes(code))
    return new TransientError(
      `needs an operator: the bot cannot use the channel ${name} (CYGNET_ALERTS: channels.${name}.channelId): ${reason}`,
      { ...details, operator: true },
    )
  if (status === 400 || status === 413)
    return new InvalidInputError(`Discord does not accept the message: ${reason}`, details)
  return new TransientError(`needs an operator: is CYGNET_DISCORD_API the address of Discord? ${reason}`, {
    ...details,
    operator: true,
  })
}

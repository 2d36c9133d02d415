/**
 * A message as an embed of Discord, within its limits whatever the texts are. Pure.
 * https://docs.discord.com/developers/resources/message#embed-object-embed-limits
 */
import type { Severity } from '../../messages/alert-rules.ts'
import { escaped, wellFormed } from '../../text.ts'
import type { ChannelMessage, MessageState } from './channel.ts'

export interface DiscordEmbed {
  readonly title: string
  readonly description: string
  readonly color: number
  readonly fields: readonly { readonly name: string; readonly value: string; readonly inline: boolean }[]
  readonly footer: { readonly text: string }
  readonly image?: { readonly url: string }
}

/** UTF-16 units, of which there are at least as many as characters. Discord's own limits are higher, except the sum. */
const MOST = { title: 200, text: 2000, links: 1000, label: 80, url: 500, name: 80, value: 400 } as const
const MOST_FIELDS = 25
const MOST_IN_ALL = 6000
/** Beside each other on a wide screen. */
const SHORT_VALUE = 24

/** @param picture name of the attached file that is shown in the embed. */
export function embedOf(message: ChannelMessage, picture: string | null): DiscordEmbed {
  const { heading, color } = headingOf(message)
  const title = `${heading}: ${shownText(message.title, MOST.title)}`
  const description = [shownText(message.text, MOST.text), linksOf(message.links)]
    .filter((part) => part !== '')
    .join('\n\n')
  const footer = { text: footerOf(message.deliveryId) }
  const left = MOST_IN_ALL - title.length - description.length - footer.text.length
  return {
    title,
    description,
    color,
    fields: fieldsOf(message.fields, left),
    footer,
    ...(picture !== null && { image: { url: `attachment://${picture}` } }),
  }
}

/** By which a message is found again. Footers have no markdown. */
export const footerOf = (deliveryId: string): string => `cygnet ${deliveryId}`

const FIRING: Readonly<Record<Severity, readonly [string, number]>> = {
  page: ['🚨 PAGE', 0xb7_1c_1c],
  error: ['❗ ERROR', 0xe5_39_35],
  warning: ['⚠️ WARNING', 0xf9_a8_25],
  info: ['ℹ️ INFO', 0x1e_88_e5],
}
const ENDED: Readonly<Record<Exclude<MessageState, 'firing' | 'information'>, readonly [string, number]>> = {
  acknowledged: ['👀 ACKNOWLEDGED', 0x8e_24_aa],
  silenced: ['🔕 SILENCED', 0x75_75_75],
  resolved: ['✅ RESOLVED', 0x2e_7d_32],
}

/** The state in words and with a sign of its own shape: colours alone are not seen by everyone. */
function headingOf({ state, severity }: ChannelMessage): {
  readonly heading: string
  readonly color: number
} {
  if (state === 'firing' || state === 'information') {
    const [heading, color] = FIRING[state === 'information' ? 'info' : severity]
    return { heading, color }
  }
  const [word, color] = ENDED[state]
  return { heading: `${word} (${severity})`, color }
}

/** Fields until the embed is full, the last one with the number of the others. */
function fieldsOf(fields: ChannelMessage['fields'], mostUnits: number): DiscordEmbed['fields'] {
  const all = fields.map(({ name, value }) => {
    const shown = value instanceof Date ? timeText(value) : shownText(value, MOST.value) || '-'
    return {
      name: shownText(name, MOST.name) || '-',
      value: shown,
      inline: typeof value === 'string' && value.length <= SHORT_VALUE,
    }
  })
  const sizeOf = (some: DiscordEmbed['fields']) =>
    some.reduce((sum, { name, value }) => sum + name.length + value.length, 0)
  if (all.length <= MOST_FIELDS && sizeOf(all) <= mostUnits) return all
  const withRest = (count: number) => [
    ...all.slice(0, count),
    { name: 'more', value: `${all.length - count} more fields are not shown here`, inline: false },
  ]
  let count = Math.min(all.length, MOST_FIELDS) - 1
  while (count > 0 && sizeOf(withRest(count)) > mostUnits) count -= 1
  return withRest(count)
}

/** `5 minutes ago (2026-11-30 20:37 UTC)`, in the reader's language. */
const timeText = (at: Date): string =>
  `<t:${Math.floor(at.getTime() / 1000)}:R> (${at.toISOString().slice(0, 16).replace('T', ' ')} UTC)`

/** Masked links, as many as fit; an address that is not of the web is left out. */
function linksOf(links: ChannelMessage['links']): string {
  let text = ''
  for (const { label, url } of links) {
    const address = addressOf(url)
    if (address === null) continue
    const link = `${text === '' ? '' : ' · '}[${shownText(label, MOST.label) || 'link'}](${address})`
    if (text.length + link.length <= MOST.links) text += link
  }
  return text
}

function addressOf(url: string): string | null {
  const parsed = URL.parse(url)
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) return null
  // Parentheses would end the link.
  const address = parsed.href.replace(/[()<>\\]/g, (one) => `%${one.charCodeAt(0).toString(16)}`)
  return address.length <= MOST.url ? address : null
}

/**
 * What cannot be seen, or changes the direction of writing. Line breaks and tabs are kept, and what joins or styles
 * the emoji before it.
 */
const INVISIBLE =
  /(?!(?<=\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f)(?:\u200d|\ufe0f))(?:[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]|\p{Default_Ignorable_Code_Point})/gu
/** Styles, links and mentions anywhere, headings, quotations and lists at the beginning of a line. */
const MARKUP = /[\\`*_~|<>[\]@]|:(?=\/\/)|(?<=^[ \t]*)[-+#]|(?<=^[ \t]*\d+)[.)]/gm

/**
 * Plain text as Discord's markdown that shows exactly this text; at most `most` UTF-16 units, an ellipsis at the end
 * of what is cut. A backslash before a character that is no letter or digit takes its meaning away.
 */
export function shownText(text: string, most: number): string {
  const visible = wellFormed(text).replace(/\r\n?/g, '\n').replace(INVISIBLE, escaped).trim()
  const safe = visible.replace(MARKUP, '\\$&')
  if (safe.length <= most) return safe
  let cut = ''
  for (const [character] of safe.matchAll(/\\?./gsu)) {
    if (cut.length + character.length >= most) break
    cut += character
  }
  return `${cut.trimEnd()}…`
}

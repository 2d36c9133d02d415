/** The page of the stand-in for Discord: the channels with their messages, as a person sees them. */
import { escaped } from '../../html.ts'
import type { Embed } from './body.ts'
import { parseMarkdown, type Span } from './markdown.ts'
import type { Message } from './messages.ts'

/** Styles are in the page; nothing else is loaded but pictures of messages. No script runs. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"
const REFRESH_SECONDS = 3

const STYLE = `:root { color-scheme: light dark; font: 1rem/1.45 system-ui, sans-serif }
body { margin: 0 auto; padding: 1rem; max-width: 44rem }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem }
article { margin: .75rem 0; padding: .5rem 0; border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent) }
header, footer, small { opacity: .75; font-size: .85rem }
.embed { border-left: .3rem solid var(--colour, gray); padding: .4rem .8rem; overflow-wrap: anywhere }
.embed p { white-space: pre-wrap; margin: .3rem 0 }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .4rem 1rem; margin: .4rem 0 }
dt { font-weight: 600 } dd { margin: 0; white-space: pre-wrap }
img { max-width: 100%; height: auto }
.mention { background: color-mix(in srgb, royalblue 30%, transparent); border-radius: .2rem; padding: 0 .15rem }`

export interface ShownChannel {
  readonly id: string
  readonly name: string
  /** Newest first. */
  readonly messages: readonly Message[]
}

/** @param pathOf the address of an attachment. */
export function channelsPage(
  channels: readonly ShownChannel[],
  pathOf: (message: Message, id: string, filename: string) => string,
  at: Date,
): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="${REFRESH_SECONDS}">
<title>Discord (local stand-in)</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Discord (local stand-in)</h1>
<p><small>What the channels show at ${utc(at)}. Nobody is notified.</small></p>
${channels.map((channel) => channelPart(channel, pathOf)).join('\n')}
</main>
</body>
</html>
`
}

function channelPart({ name, messages }: ShownChannel, pathOf: Parameters<typeof channelsPage>[1]): string {
  const articles = messages.map((message) => {
    const pictures = message.attachments.map(({ id, filename }) => ({
      filename,
      html: `<p><img src="${escaped(pathOf(message, id, filename))}" alt="${escaped(filename)}"></p>`,
    }))
    const inEmbeds = message.embeds.map(({ image }) => image?.url.replace(/^attachment:\/\//, ''))
    const loose = pictures.filter(({ filename }) => !inEmbeds.includes(filename))
    const edited = message.editedAt === null ? '' : ` (edited ${utc(message.editedAt)})`
    return `<article>
<header>cygnet, ${utc(message.postedAt)}${edited}</header>
${message.content === '' ? '' : `<p>${html(message.content)}</p>`}
${message.embeds.map((embed, index) => embedPart(embed, pictures.find(({ filename }) => filename === inEmbeds[index])?.html)).join('\n')}
${loose.map((picture) => picture.html).join('\n')}
</article>`
  })
  return `<section><h2>#${escaped(name)}</h2>
${articles.length === 0 ? '<p>No messages.</p>' : articles.join('\n')}
</section>`
}

function embedPart(embed: Embed, picture = ''): string {
  const { title = '', url, description = '', fields = [], footer, color = 0x80_80_80 } = embed
  const heading = url === undefined ? html(title) : `<a href="${escaped(url)}">${html(title)}</a>`
  const colour = `#${color.toString(16).padStart(6, '0')}`
  return `<div class="embed" style="--colour: ${colour}">
<strong>${heading}</strong>
<p>${html(description)}</p>
<dl>${fields.map(({ name, value }) => `<div><dt>${html(name)}</dt><dd>${html(value)}</dd></div>`).join('')}</dl>
${picture}
<footer>${escaped(footer?.text ?? '')}</footer>
</div>`
}

const html = (markdown: string): string => parseMarkdown(markdown).map(spanHtml).join('')

function spanHtml(span: Span): string {
  switch (span.kind) {
    case 'text':
      return escaped(span.text)
    case 'link':
      return `<a href="${escaped(span.url)}" rel="noreferrer">${escaped(span.label)}</a>`
    case 'mention':
      return `<span class="mention">${escaped(span.text)}</span>`
    case 'time':
      return `<time datetime="${span.at.toISOString()}">${ago(span.at)}</time>`
    case 'style':
      return `<b>${escaped(span.text)}</b>`
  }
}

const utc = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`

/** As `<t:…:R>` is shown. */
function ago(at: Date): string {
  const minutes = Math.round((at.getTime() - Date.now()) / 60_000)
  const text = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
  return Math.abs(minutes) < 120
    ? text.format(minutes, 'minute')
    : text.format(Math.round(minutes / 60), 'hour')
}

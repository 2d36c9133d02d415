/**
 * The part of Discord's markdown that matters here: what a text becomes on the screen.
 * https://docs.discord.com/developers/reference#message-formatting and
 * https://support.discord.com/hc/en-us/articles/210298617
 */

export type Span =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'link'; readonly label: string; readonly url: string }
  | { readonly kind: 'mention'; readonly text: string }
  | { readonly kind: 'time'; readonly at: Date; readonly style: string }
  | { readonly kind: 'style'; readonly text: string }

interface Rule {
  readonly pattern: RegExp
  readonly atLineStart?: boolean
  span(match: RegExpExecArray): Span
}

const text = (value: string): Span => ({ kind: 'text', text: value })
const style = ([, inner = '']: RegExpExecArray): Span => ({ kind: 'style', text: plain(inner) })
const mention = ([all]: RegExpExecArray): Span => ({ kind: 'mention', text: all })
const link = (label: string, url: string): Span => ({ kind: 'link', label, url })

/** The first that matches at a place counts. */
const RULES: readonly Rule[] = [
  { pattern: /\\([^0-9A-Za-z\s])/y, span: ([, character = '']) => text(character) },
  { pattern: /(?:#{1,3}|-#|>>>|>|[-*]|\d+\.) +([^\n]*)/y, atLineStart: true, span: style },
  { pattern: /(`+)([\s\S]*?[^`])\1(?!`)/y, span: ([, , inner = '']) => ({ kind: 'style', text: inner }) },
  {
    pattern: /\[((?:\\.|[^\]\\\n])+)\]\(<?(https?:\/\/[^\s)>]+)>?\)/y,
    span: ([, label = '', url = '']) => link(plain(label), url),
  },
  { pattern: /<(https?:\/\/[^\s>]+)>/y, span: ([, url = '']) => link(url, url) },
  { pattern: /https?:\/\/[^\s<]+/y, span: ([url]) => link(url, url) },
  {
    pattern: /<t:(-?\d{1,13})(?::([tTdDfFsSR]))?>/y,
    span: ([, seconds, shown = 'f']) => ({
      kind: 'time',
      at: new Date(Number(seconds) * 1000),
      style: shown,
    }),
  },
  { pattern: /<(?:@[!&$]?|#|a?:\w+:|\/[^\n>]+:|id:)\w+>/y, span: mention },
  { pattern: /@(?:everyone|here)\b/y, span: mention },
  { pattern: /\*\*([\s\S]+?)\*\*(?!\*)/y, span: style },
  { pattern: /__([\s\S]+?)__(?!_)/y, span: style },
  { pattern: /\*(?=\S)([\s\S]+?)\*(?!\*)/y, span: style },
  { pattern: /_([\s\S]+?)_(?![A-Za-z0-9_])/y, span: style },
  { pattern: /~~([\s\S]+?)~~/y, span: style },
  { pattern: /\|\|([\s\S]+?)\|\|/y, span: style },
]

export function parseMarkdown(source: string): readonly Span[] {
  const spans: Span[] = []
  let at = 0
  const next = (): readonly [Span, number] => {
    for (const { pattern, atLineStart = false, span } of RULES) {
      if (atLineStart && at > 0 && source[at - 1] !== '\n') continue
      pattern.lastIndex = at
      const match = pattern.exec(source)
      if (match !== null) return [span(match), match[0].length]
    }
    const character = String.fromCodePoint(source.codePointAt(at) ?? 0)
    return [text(character), character.length]
  }
  while (at < source.length) {
    const [span, length] = next()
    const last = spans.at(-1)
    if (span.kind === 'text' && last?.kind === 'text') spans[spans.length - 1] = text(last.text + span.text)
    else spans.push(span)
    at += length
  }
  return spans
}

/** The text as it is read. */
const plain = (source: string): string =>
  parseMarkdown(source)
    .map((span) => ('text' in span ? span.text : span.kind === 'link' ? span.label : span.at.toISOString()))
    .join('')

/** A message as an embed of Discord: within the limits at any text, and only our own markup has a meaning. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkBody } from '../../../infra/local/services/discord/body.ts'
import { parseMarkdown } from '../../../infra/local/services/discord/markdown.ts'
import { embedOf, shownText } from '../../../shared/alerts/channels/discord-embed.ts'
import { messageOf } from '../../support/alerts/channel-conformance.ts'

const MARKUP = ['\\', '`', '*', '_', '~', '|', '<', '>', '[', ']', '(', ')', '@', '#', '-', '+', '1.', '://']
const WORDS = [
  'a',
  ' ',
  '\n',
  '\t',
  'https',
  'http://x.example/y',
  '@everyone',
  '<@130000000000000000>',
  '<t:1:R>',
]
const anyText = fc.oneof(
  fc.string({ unit: fc.constantFrom(...MARKUP, ...WORDS), maxLength: 60 }),
  fc.string({ unit: 'binary' }),
)
const read = (markdown: string) =>
  parseMarkdown(markdown)
    .map((span) => ('text' in span ? span.text : '?'))
    .join('')

describe('the text of a file name', () => {
  it('is shown as it is: no style, link, mention or time comes from it', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const spans = parseMarkdown(shownText(text, 1_000_000))
        expect(spans.filter(({ kind }) => kind !== 'text')).toEqual([])
      }),
      { numRuns: 3000 },
    )
  })

  it.each([
    'run_00012_cam.mid.gz',
    '**bold** ~~struck~~ ||spoiler|| `code`',
    '# heading',
    '-# small',
    '> quoted',
    '- item',
    '12. item',
    '[label](https://evil.example)',
    'https://evil.example/a_b',
    '<https://evil.example>',
    '@everyone @here <@1300000000000000021> <@&1300000000000000022> <#1300000000000000011>',
    '<t:1:R> <a:smile:1300000000000000011> </run:1300000000000000011> <id:home>',
    'C:\\data\\run1*',
    'a\n# b\n  - c\n\t2) d',
  ])('"%s" is read back exactly', (text) => {
    expect(read(shownText(text, 1000))).toBe(text)
  })

  it('what cannot be seen is made visible, so that it cannot pose as another name', () => {
    expect(read(shownText('run\u202e1\u200b.mid\0', 100))).toBe('run\\u202e1\\u200b.mid\ufffd')
  })

  it('emoji of several parts are kept', () => {
    for (const emoji of ['❤\ufe0f', '👩\u200d🚀', '👍🏽', '🏳\ufe0f\u200d🌈'])
      expect(read(shownText(`thanks ${emoji}`, 100))).toBe(`thanks ${emoji}`)
    expect(read(shownText('run\u200d1\ufe0f', 100))).toBe('run\\u200d1\\ufe0f')
  })

  it('is cut with an ellipsis, between characters, never between a backslash and its character', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 2, max: 40 }), (text, most) => {
        const whole = shownText(text, 1_000_000)
        const cut = shownText(text, most)
        expect(cut.length).toBeLessThanOrEqual(most)
        if (whole.length <= most) expect(cut).toBe(whole)
        else expect(cut.endsWith('…')).toBe(true)
        expect(cut.isWellFormed()).toBe(true)
        expect(parseMarkdown(cut).filter(({ kind }) => kind !== 'text')).toEqual([])
      }),
      { numRuns: 3000 },
    )
  })
})

describe('an embed', () => {
  const accepted = (message: Parameters<typeof messageOf>[0]) => {
    const embed = embedOf(messageOf(message), null)
    const checked = checkBody({ embeds: [embed] })
    expect(checked).not.toHaveProperty('errors')
    return embed
  }

  it('is within the limits of Discord, however long and many its texts are', () => {
    const long = fc.oneof(
      anyText,
      fc.string({ unit: fc.constantFrom('*', '_', 'x', '🚨'), minLength: 900, maxLength: 5000 }),
    )
    fc.assert(
      fc.property(
        fc.record({
          title: long,
          text: long,
          fields: fc.array(
            fc.record({
              name: long,
              value: fc.oneof(
                long,
                fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-01-01') }),
              ),
            }),
            {
              maxLength: 40,
            },
          ),
          links: fc.array(fc.record({ label: long, url: fc.oneof(fc.webUrl(), long) }), { maxLength: 20 }),
        }),
        (message) => void accepted(message),
      ),
      { numRuns: 200 },
    )
  })

  it('has all fields where they fit, else states how many are left out', () => {
    const field = (value: string) => ({ name: 'n', value })
    expect(accepted({ fields: Array.from({ length: 25 }, () => field('x')) }).fields).toHaveLength(25)
    const many = accepted({ fields: Array.from({ length: 40 }, () => field('x')) }).fields
    expect(many).toHaveLength(25)
    expect(many.at(-1)?.value).toBe('16 more fields are not shown here')
    const large = accepted({ fields: Array.from({ length: 20 }, () => field('x'.repeat(400))) }).fields
    expect(large.at(-1)?.value).toBe(`${20 - (large.length - 1)} more fields are not shown here`)
    expect(large.length).toBeGreaterThan(10)
  })

  it('links lead to web addresses alone, and none ends early or runs on', () => {
    const links = [
      { label: 'run [1] *x*', url: 'https://cygnet.example/runs/LNGS/1?a=(b)&c=_d_' },
      { label: 'bad', url: 'javascript:alert(1)' },
      { label: 'worse', url: 'not an address' },
      { label: '', url: 'https://cygnet.example/' },
    ]
    const found = parseMarkdown(accepted({ text: '', links }).description).filter(
      ({ kind }) => kind === 'link',
    )
    expect(found).toEqual([
      { kind: 'link', label: 'run [1] *x*', url: 'https://cygnet.example/runs/LNGS/1?a=%28b%29&c=_d_' },
      { kind: 'link', label: 'link', url: 'https://cygnet.example/' },
    ])
  })

  it('a time is shown relative to the reader, and in UTC', () => {
    const { fields } = accepted({ fields: [{ name: 'since', value: new Date('2026-11-30T20:37:59.900Z') }] })
    expect(fields[0]?.value).toBe('<t:1796071079:R> (2026-11-30 20:37 UTC)')
  })
})

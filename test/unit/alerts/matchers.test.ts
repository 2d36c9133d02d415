/** Matchers, silences, inhibitions and groups of alerts. That they are Alertmanager's is shown in test/real. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { groupKey } from '../../../shared/alerts/grouping.ts'
import { inhibitedBy } from '../../../shared/alerts/inhibition.ts'
import { matchesAll, parseMatchers } from '../../../shared/alerts/matchers.ts'
import { checkSilence, matchingSilences } from '../../../shared/alerts/silences.ts'
import type { Matcher } from '../../../shared/database/alert-schema.ts'
import type { Labels } from '../../../shared/messages/alert-labels.ts'

const LNGS: Labels = { alertname: 'tape-copy-fails', tag: 'LNGS' }
const matches = (text: string, labels: Labels = LNGS) => matchesAll(parseMatchers(text), labels)

describe('matchers', () => {
  it('match labels by name and value', () => {
    expect(matches('{tag="LNGS", alertname=~"tape.*"}')).toBe(true)
    expect(matches('tag=LNF')).toBe(false)
    expect(matches('tag!=LNF')).toBe(true)
    expect(matches('alertname!~"tape.*|store.*"')).toBe(false)
  })

  it('match the whole value, not a part of it', () => {
    expect(matches('tag=~"LN"')).toBe(false)
    expect(matches('tag=~"x|LN"')).toBe(false)
    expect(matches('tag=~"L.*|x"')).toBe(true)
  })

  it('take a missing label as an empty one, also one that every object has', () => {
    for (const name of ['run', 'constructor', '__proto__']) {
      const texts = [`${name}=""`, `${name}=~".*"`, `${name}!="x"`, `${name}=~".+"`]
      expect(texts.map((text) => matches(text))).toEqual([true, true, true, false])
    }
  })

  it('end in linear time, whatever the expression', () => {
    const text = `${'a'.repeat(50_000)}b`
    for (const expression of ['(a+)+', '(a|a)*', '(a*)*c', '(.*.*.*.*)*x', '(a|aa)+'])
      expect(matches(`tag=~"${expression}"`, { tag: text })).toBe(false)
  })

  it.each([
    ['tag', 'the matcher tag is not of the form name="value"'],
    ['tag="LNGS', 'the matcher tag="LNGS has no quote at its end'],
    ['tag="a"b"', 'or one within that is not written \\"'],
    ['a-b="x"', '"a-b" is not the name of a label'],
    ['tag=LNGS, alertname=~"("', 'the value for alertname is not a regular expression of RE2: error parsing'],
    ['tag=~"(?=a)"', 'the value for tag is not a regular expression of RE2'],
    [`tag="${'x'.repeat(2001)}"`, 'the value for tag is longer than 2000 characters'],
    ['tag="\ud800"', 'the value for tag contains half a character'],
  ])('%s is refused with a sentence that names the part', (text, sentence) => {
    expect(() => parseMatchers(text)).toThrow(sentence)
  })

  it('are read as they were written, whatever is between the quotes', () => {
    const value = fc.string({
      unit: fc.constantFrom('a', '"', '\\', ',', '{', '}', '=', '~', '\n', ' ', 'é'),
    })
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), (values) => {
        const quotedAs = (text: string) => `"${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`
        const text = `{${values.map((one, index) => `l${index}=${quotedAs(one)}`).join(', ')}}`
        expect(parseMatchers(text).map((one) => one.value)).toEqual(values)
      }),
    )
  })

  it('of any text are parsed or refused, never worse', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '"', '\\', ',', '{', '=', '~', '!', '(', '*', ' ') })
    fc.assert(
      fc.property(text, (given) => {
        try {
          matchesAll(parseMatchers(given), LNGS)
        } catch (error) {
          expect((error as Error).name).toBe('InvalidInputError')
        }
      }),
    )
  })
})

describe('a silence', () => {
  const at = new Date('2026-12-01T12:00:00Z')
  const hours = (count: number) => new Date(at.getTime() + count * 3_600_000)
  const silence = (text: string, from: number, to: number) => ({
    ...{ matchers: parseMatchers(text), startsAt: hours(from), endsAt: hours(to) },
  })
  const draft = { ...silence('tag=LNGS', 0, 1), author: 'Anna Rossi', comment: 'the gas is being changed' }

  it('counts while it is active and all its matchers match', () => {
    const active = silence('tag=LNGS, alertname=~tape.*', -1, 1)
    const wide = silence('alertname!=x', -1, 1)
    const others = [
      silence('tag=LNGS', 1, 2),
      silence('tag=LNGS', -2, -1),
      silence('tag=LNGS, alertname=x', -1, 1),
    ]
    expect(matchingSilences(LNGS, [...others, active, wide], at)).toEqual([active, wide])
    const ends = [silence('tag=LNGS', 0, 1), silence('tag=LNGS', -1, 0)]
    expect(matchingSilences(LNGS, ends, at)).toEqual(ends)
  })

  it('that cannot be understood hides nothing', () => {
    const broken = [true, false].map(
      (isEqual): Matcher => ({ name: 'tag', value: '(', isRegex: true, isEqual }),
    )
    for (const matcher of broken)
      expect(matchingSilences(LNGS, [{ ...draft, matchers: [matcher] }], hours(0.5))).toEqual([])
  })

  it.each([
    ['an end after its begin', { endsAt: hours(0) }],
    ['an end in the future', { startsAt: hours(-2), endsAt: hours(-1) }],
    ['an end', { endsAt: new Date(Number.NaN) }],
    ['an author', { author: ' ' }],
    ['a comment', { comment: '' }],
    ['a matcher', { matchers: [] }],
    ['a matcher', silence('tag=~".*"', 0, 1)],
    ['a matcher', silence('tag="", alertname=~".*|x"', 0, 1)],
  ])('needs %s', (what, wrong) => {
    expect(() => checkSilence({ ...draft, ...wrong }, at)).toThrow(`a silence needs ${what}`)
  })

  it('with an end, an author and a comment is accepted', () => {
    expect(() => checkSilence(draft, at)).not.toThrow()
    expect(() => checkSilence({ ...draft, matchers: parseMatchers('tag=LNGS, run=""') }, at)).not.toThrow()
  })
})

describe('inhibition', () => {
  const rule = {
    source: parseMatchers('alertname=store-fails'),
    target: parseMatchers('alertname=~".*"'),
    equal: ['bucket'],
  }
  const firing = (...all: readonly Labels[]) => all.map((labels) => ({ labels }))
  const fails = { alertname: 'store-fails', bucket: 'cygno-data' }

  it('names the alert that explains, by the labels that must be equal', () => {
    const target = { alertname: 'arrival-failed', bucket: 'cygno-data', run: '12345' }
    expect(inhibitedBy(target, firing(target, fails), [rule])).toEqual({ labels: fails })
    expect(inhibitedBy({ ...target, bucket: 'other' }, firing(fails), [rule])).toBeNull()
    expect(inhibitedBy({ alertname: 'x' }, firing({ alertname: 'store-fails' }), [rule])).not.toBeNull()
    expect(inhibitedBy(target, firing(target), [rule])).toBeNull()
  })

  it('never keeps an alert from being sent for its own sake', () => {
    expect(inhibitedBy(fails, firing(fails), [rule])).toBeNull()
    expect(inhibitedBy(fails, firing({ ...fails, run: '1' }, fails), [rule])).toBeNull()
  })
})

describe('a group', () => {
  it('is named by the labels that it is made by, in any order', () => {
    expect(groupKey(LNGS, ['tag', 'alertname'])).toBe('{alertname="tape-copy-fails", tag="LNGS"}')
    expect(groupKey(LNGS, ['alertname', 'tag', 'tag'])).toBe(groupKey(LNGS, ['tag', 'alertname']))
    expect(groupKey({ ...LNGS, run: '' }, ['tag', 'run', 'x'])).toBe('{tag="LNGS"}')
    expect(groupKey(LNGS, [])).toBe('{}')
  })

  it('is another one for other values, whatever they contain', () => {
    const of = (a: string, b: string) => groupKey({ a, b }, ['a', 'b'])
    expect(of('x", b="y', '')).not.toBe(of('x', 'y'))
  })
})

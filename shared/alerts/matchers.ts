/**
 * Matchers of labels as Alertmanager has them: of silences, of filters and of inhibitions. Pure.
 *
 * Regular expressions are Go's (RE2): people type them, and JavaScript's own may take for ever on some. re2js runs
 * them in linear time and refuses what Go refuses; test/real/alertmanager.test.ts compares them.
 *
 * @example
 * const matchers = parseMatchers('{tag="LNGS", alertname=~"tape-.*"}')
 * matchesAll(matchers, { alertname: 'tape-copy-fails', tag: 'LNGS' }) // true
 */
import { RE2JS } from 're2js'
import type { Matcher } from '../database/alert-schema.ts'
import { InvalidInputError } from '../errors.ts'
import type { Labels } from '../messages/alert-labels.ts'
import { isWellFormed, shortened } from '../text.ts'

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const FORM = /^\s*([^\s=!~{}",]+)\s*(=~|!~|!=|=)([\s\S]*)$/
const QUOTED = /^"(?:[^"\\]|\\[\s\S])*"$/
/** A longer one was not typed by a person; compiling takes time and memory by length. */
const LONGEST_VALUE = 2000

/** Compiling takes 0.3 ms, and every alert is compared with every silence. */
const compiled = new Map<string, RE2JS>()
const MOST_COMPILED = 500

/** @throws an error of re2js for what is no regular expression. */
function anchored(expression: string): RE2JS {
  const known = compiled.get(expression)
  if (known !== undefined) return known
  if (compiled.size >= MOST_COMPILED) compiled.clear()
  const regex = RE2JS.compile(`^(?:${expression})$`)
  compiled.set(expression, regex)
  return regex
}

/** The value of a label; '' where it is missing, also of names that every object has. */
export const labelOf = (labels: Labels, name: string): string =>
  Object.hasOwn(labels, name) ? (labels[name] ?? '') : ''

/** Whether the labels match every one. A label that is missing is the same as an empty one. */
export const matchesAll = (matchers: readonly Matcher[], labels: Labels): boolean =>
  matchers.every((matcher) => matches(matcher, labels))

function matches({ name, value, isRegex, isEqual }: Matcher, labels: Labels): boolean {
  const label = labelOf(labels, name)
  if (!isRegex) return (label === value) === isEqual
  try {
    return anchored(value).test(label) === isEqual
  } catch {
    // `checkMatcher` refuses it before it is stored. If one is stored all the same, no alert must be hidden by it.
    return false
  }
}

/** @throws InvalidInputError for a name, value or regular expression that Alertmanager would refuse. */
export function checkMatcher({ name, value, isRegex }: Matcher): void {
  if (!NAME.test(name))
    throw new InvalidInputError(
      `"${shortened(name, 80)}" is not the name of a label: letters, digits and _, and no digit first`,
    )
  if (!isWellFormed(value))
    throw new InvalidInputError(`the value for ${name} contains half a character, NUL, U+FFFE or U+FFFF`)
  if (value.length > LONGEST_VALUE)
    throw new InvalidInputError(`the value for ${name} is longer than ${LONGEST_VALUE} characters`)
  if (!isRegex) return
  try {
    // On its own too: "a)(b" is none, and becomes one between the anchors.
    RE2JS.compile(value)
    anchored(value)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidInputError(
      `the value for ${name} is not a regular expression of RE2: ${shortened(reason, 200)}`,
      {},
      { cause },
    )
  }
}

/** Whether labels without the name match, by the same rule as Alertmanager's for silences. */
export const matchesEmpty = ({ value, isRegex, isEqual }: Matcher): boolean =>
  isEqual && (isRegex ? RE2JS.compile(value).test('') : value === '')

/**
 * Parses what `amtool` accepts: `{tag="LNGS", alertname=~"tape-.*"}`, with or without braces and quotes.
 * @throws InvalidInputError that names the part that is wrong.
 */
export function parseMatchers(text: string): readonly Matcher[] {
  const parts = partsOf(text.trim().replace(/^\{/, '').replace(/\}$/, ''))
  return parts.map((part) => {
    const matcher = parseMatcher(part)
    checkMatcher(matcher)
    return matcher
  })
}

/** At commas that are not within quotes. A comma may follow the last. */
function partsOf(text: string): readonly string[] {
  const parts: string[] = []
  let [part, isQuoted, isEscaped] = ['', false, false]
  for (const character of text) {
    if (character === ',' && !isQuoted) {
      parts.push(part)
      part = ''
      continue
    }
    if (character === '"' && !isEscaped) isQuoted = !isQuoted
    isEscaped = character === '\\' && !isEscaped
    part += character
  }
  return part.trim() === '' ? parts : [...parts, part]
}

function parseMatcher(part: string): Matcher {
  const wrong = (reason: string) =>
    new InvalidInputError(`the matcher ${shortened(part.trim(), 80)} ${reason}`)
  const [, name, operator = '', rest = ''] = FORM.exec(part) ?? []
  if (name === undefined) throw wrong('is not of the form name="value", with one of = != =~ !~')
  const written = rest.trim()
  const isQuoted = written.startsWith('"')
  const isComplete = isQuoted ? QUOTED.test(written) : !written.replace(/\\[\s\S]/g, '').includes('"')
  if (!isComplete) throw wrong('has no quote at its end, or one within that is not written \\"')
  const inner = isQuoted ? written.slice(1, -1) : written
  // A backslash before anything else stands for itself, so that regular expressions need no second one.
  const value = inner.replace(/\\([n"\\])/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  return { name, value, isRegex: operator.endsWith('~'), isEqual: operator.startsWith('=') }
}

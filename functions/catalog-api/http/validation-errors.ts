/**
 * Describes the errors of an invalid request in a sentence that names the field: `runs[0].tag: not a tag,
 * such as LNGS`. Pure.
 */
import type * as z from 'zod'
import { cutText } from '../../../shared/text.ts'

type Issue = z.core.$ZodIssue

const MAX_ISSUES = 5
/** Unknown names are text from the caller. */
const LONGEST_NAME = 80

export function describeValidationError({ issues }: z.core.$ZodError): string {
  const sentences = issues
    .slice(0, MAX_ISSUES)
    .map((issue) => [placeOf(issue), sentenceOf(issue)].filter(Boolean).join(': '))
  return [
    ...sentences,
    ...(issues.length > MAX_ISSUES ? [`and ${issues.length - MAX_ISSUES} more`] : []),
  ].join('; ')
}

const placeOf = ({ path }: Issue): string =>
  path
    .map((part, index) =>
      typeof part === 'number'
        ? `[${part}]`
        : `${index === 0 ? '' : '.'}${cutText(String(part), LONGEST_NAME)}`,
    )
    .join('')

/** Zod's own messages are about types and are replaced; those of our schemas are kept. */
function sentenceOf(issue: Issue): string {
  if (!/^(?:Invalid|Too|Unrecognized)/.test(issue.message)) return issue.message
  switch (issue.code) {
    case 'unrecognized_keys':
      return `unknown field ${issue.keys.map((key) => cutText(key, LONGEST_NAME)).join(', ')}`
    case 'invalid_type':
      if (issue.message.endsWith('received undefined')) return 'missing'
      if (issue.expected === 'int') return 'expected a whole number'
      if (issue.expected !== 'object' && issue.message.endsWith('received array'))
        return 'expected one value, not several'
      return `expected ${/^[aeiou]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}`
    case 'invalid_value':
      return `expected ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`
    case 'too_small':
      return `expected at least ${issue.minimum}${unitOf(issue.origin)}`
    case 'too_big':
      return `expected at most ${issue.maximum}${unitOf(issue.origin)}`
    default:
      return issue.message
  }
}

/** For text that is stored: the sender can correct it, so it is refused rather than changed. */
export const NOT_WELL_FORMED = 'it contains half a character (a surrogate), NUL, U+FFFE or U+FFFF'

const unitOf = (origin: string) =>
  origin === 'string' ? ' characters' : origin === 'array' ? ' entries' : ''

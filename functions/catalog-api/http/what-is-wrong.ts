/**
 * What is wrong with a request, in a sentence that names the place: `runs[0].tag: this is no tag; one is
 * LNGS`. Pure.
 */
import type * as z from 'zod'

type Issue = z.core.$ZodIssue

const MOST = 5
/** Names of what there is not are the caller's own words. */
const LONGEST_NAME = 80

export function whatIsWrong({ issues }: z.core.$ZodError): string {
  const told = issues
    .slice(0, MOST)
    .map((issue) => [placeOf(issue), sentenceOf(issue)].filter(Boolean).join(': '))
  return [...told, ...(issues.length > MOST ? [`and ${issues.length - MOST} more`] : [])].join('; ')
}

const placeOf = ({ path }: Issue): string =>
  path
    .map((part, index) =>
      typeof part === 'number'
        ? `[${part}]`
        : `${index === 0 ? '' : '.'}${String(part).slice(0, LONGEST_NAME)}`,
    )
    .join('')

/** Zod's own words are about types; what the schemas say of themselves stays as it is. */
function sentenceOf(issue: Issue): string {
  if (!/^(?:Invalid|Too|Unrecognized)/.test(issue.message)) return issue.message
  switch (issue.code) {
    case 'unrecognized_keys':
      return `there is no ${issue.keys.map((key) => key.slice(0, LONGEST_NAME)).join(', ')}`
    case 'invalid_type':
      if (issue.message.endsWith('received undefined')) return 'it is missing'
      if (issue.expected === 'int') return 'a whole number is expected'
      if (issue.expected !== 'object' && issue.message.endsWith('received array'))
        return 'one value is expected, not several'
      return `${/^[aeiou]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected} is expected`
    case 'invalid_value':
      return `${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')} is expected`
    case 'too_small':
      return `at least ${issue.minimum}${unitOf(issue.origin)} expected`
    case 'too_big':
      return `at most ${issue.maximum}${unitOf(issue.origin)} expected`
    default:
      return issue.message
  }
}

const unitOf = (origin: string) =>
  origin === 'string' ? ' characters are' : origin === 'array' ? ' entries are' : ' is'

/** The filters of the page Runs for people: label, example, and the words for their values. Pure. */
import { PROBLEM_KINDS, PROBLEMS } from '../../../shared/catalogue/open-problems.ts'
import { CLOUD_WORDS, TAPE_WORDS } from '../../../shared/database/storage-summary.ts'
import { labelOf } from '../../../shared/queries/parameter-labels.ts'
import { STORE_TEXTS, TAPE_TEXTS } from '../../../shared/queries/state-words.ts'
import { cutText } from '../../../shared/text.ts'

export type Choice = readonly [value: string, text: string]

interface Field {
  readonly label: string
  /** A valid value, as a person writes it. */
  readonly example: string
  readonly choices?: readonly Choice[]
}

const YES_NO: readonly Choice[] = [
  ['true', 'yes'],
  ['false', 'no'],
]
/** Named as in the API. */
export const FIELDS = {
  tag: { label: 'Tag', example: 'LNGS' },
  from: { label: 'First run', example: '12345' },
  to: { label: 'Last run', example: '12400' },
  since: { label: 'Started since (UTC)', example: '2026-01-15 or 2026-01-15 08:00' },
  until: { label: 'Started before (UTC)', example: '2026-01-16 or 2026-01-16 08:00' },
  problem: {
    label: 'Open problem',
    example: 'any',
    choices: [['any', 'any problem'], ...PROBLEM_KINDS.map((kind) => [kind, PROBLEMS[kind]] as const)],
  },
  tape: {
    label: 'On tape',
    example: 'on tape',
    choices: TAPE_WORDS.map((word) => [word, TAPE_TEXTS[word]] as const),
  },
  cloud: {
    label: 'In the store',
    example: 'present',
    choices: CLOUD_WORDS.map((word) => [word, STORE_TEXTS[word]] as const),
  },
  complete: { label: 'Complete', example: 'yes', choices: YES_NO },
  pedestal: { label: 'Pedestal', example: 'no', choices: YES_NO },
  integrity: {
    label: 'Checksums',
    example: 'verified',
    choices: [
      ['verified', 'verified'],
      ['unstated', 'unstated'],
      ['mismatch', 'mismatch'],
    ],
  },
  text: { label: 'Description contains', example: 'AmBe' },
} as const satisfies Readonly<Record<string, Field>>

export type FieldName = keyof typeof FIELDS

const fieldOf = (name: string): Field | undefined =>
  Object.hasOwn(FIELDS, name) ? FIELDS[name as FieldName] : undefined

const PARAMETER_PREFIX = 'param.'

export const OPERATORS: readonly Choice[] = [
  ['eq', '='],
  ['ne', '≠'],
  ['lt', '<'],
  ['lte', '≤'],
  ['gt', '>'],
  ['gte', '≥'],
]

/** `2026-01-15T08:00:00Z` as typed by a user. */
export const shownTime = (text: string): string =>
  text.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:00)?Z$/, '$1 $2')

/** A filter that is in use. */
export interface ActiveFilter {
  readonly name: string
  readonly value: string
  /** `On tape: failed`, `GEM 1 voltage ≥ 440 V` */
  readonly text: string
}

/** Fields of the address that filter nothing. */
const NO_FILTERS = ['sort', 'cursor', 'column', 'fields', 'format', 'limit']

export const activeFilters = (address: URLSearchParams): readonly ActiveFilter[] =>
  [...address]
    .filter(([name]) => !NO_FILTERS.includes(name))
    .map(([name, value]) => ({ name, value, text: filterText(name, value) }))

function filterText(name: string, value: string): string {
  if (name.startsWith(PARAMETER_PREFIX)) {
    const [, parameter = '', operator = 'eq'] = name.split('.')
    const { label, unit } = labelOf(parameter)
    const symbol = OPERATORS.find(([known]) => known === operator)?.[1] ?? operator
    return cutText(`${label} ${symbol} ${value}${unit === '' ? '' : ` ${unit}`}`, LONGEST)
  }
  const field = fieldOf(name)
  const word = field?.choices?.find(([known]) => known === value)?.[1] ?? shownTime(value)
  return cutText(`${field?.label ?? name}: ${word}`, LONGEST)
}

const LONGEST = 100

/** What is wrong with a filter, for the person who entered it. `name` is null if it is about several. */
export interface FilterProblem {
  readonly name: string | null
  readonly sentence: string
}

/** @param name of the field as in the API. @param reason of the API's validation. */
export function filterProblem(name: string, reason: string): FilterProblem {
  if (name === '') return { name: null, sentence: reason }
  if (name.startsWith(PARAMETER_PREFIX)) {
    const [, parameter = ''] = name.split('.')
    return { name, sentence: `${cutText(labelOf(parameter).label, LONGEST)}: ${reason}. Example: 440` }
  }
  const field = fieldOf(name)
  if (field === undefined)
    return {
      name,
      sentence: `There is no filter “${cutText(name, LONGEST)}”. Choose one of those in the form.`,
    }
  return { name, sentence: `${field.label}: ${reasonFor(name, reason)}. Example: ${field.example}` }
}

/** Some reasons repeat the notation of the API, or are about types. */
function reasonFor(name: string, reason: string): string {
  if (name === 'since' || name === 'until') return 'expected a date or a time'
  if (name === 'tag') return 'not a tag'
  return /^(?:Invalid|Too)/.test(reason) ? 'expected one value of the list' : reason
}

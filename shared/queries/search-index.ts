/**
 * The indexes along which runs of a tag are searched. MariaDB's own choice reads all runs of a tag where the
 * first hundred would do: it counts neither on the end that a LIMIT makes nor on a bound of the very column
 * that gives the order. Between the order and a range of numbers or times it chooses well: it looks up how
 * many runs the range has.
 */
import type { RunConditions, RunOrder } from './run-conditions.ts'

const ALONG = {
  run: 'newest',
  start: 'by_tag_start',
  size: 'by_tag_size',
  events: 'by_tag_events',
  catalogued: 'by_tag_catalogued',
} as const satisfies Record<RunOrder, string>

/**
 * Properties with an index of their own, in the order of the run numbers; what few runs have as a rule comes
 * first.
 */
const PROPERTIES = ['integrity', 'tape', 'cloud', 'complete', 'pedestal'] as const
const USUAL = {
  integrity: 'verified',
  tape: 'on-media',
  cloud: 'deleted',
  complete: true,
  pedestal: false,
} as const

/** So many runs are sorted in no time. */
const FEW = 20_000

/**
 * The names of those to choose from; none where the database knows better, by how many runs have the property
 * that is asked for.
 */
export function searchIndexes(conditions: RunConditions, by: RunOrder): readonly string[] {
  const { from, to, since, until, text, parameters = [] } = conditions
  const byTime = (since ?? until) === undefined ? [] : [ALONG.start]
  const asked = PROPERTIES.filter((property) => conditions[property] !== undefined)
  const property = asked.find((each) => conditions[each] !== USUAL[each]) ?? asked[0]
  if (property !== undefined) return by === 'run' ? [`by_tag_${property}`, ...byTime] : []
  const isShort = from !== undefined && to !== undefined && to - from < FEW
  if (isShort) return [ALONG.run]
  const byNumber = (from ?? to) === undefined ? [] : [ALONG.run]
  // Sorting what an index has is quicker than leaving out all other numbers one by one; not when every run
  // must be looked at.
  const looksAtRows = text !== undefined || parameters.length > 0
  const order = by === 'start' && byNumber.length > 0 && !looksAtRows ? 'begin_by_number' : ALONG[by]
  return [...new Set([order, ...(order === 'begin_by_number' ? [] : byNumber), ...byTime])]
}

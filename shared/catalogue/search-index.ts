/**
 * The index along which runs of a tag are searched. MariaDB's own choice reads all runs of a tag where the first hundred would do:
 * it counts neither on the end that a LIMIT makes nor on a bound of the very column that gives the order.
 */
import type { RunConditions } from './run-conditions.ts'
import type { RunOrder } from './search-runs.ts'

const ALONG = {
  run: 'newest',
  start: 'by_tag_start',
  size: 'by_tag_size',
  events: 'by_tag_events',
  catalogued: 'by_tag_catalogued',
} as const satisfies Record<RunOrder, string>

/** Properties with an index of their own, in the order of the run numbers; what few runs have as a rule comes first. */
const PROPERTIES = ['integrity', 'tape', 'cloud', 'complete', 'pedestal'] as const
const USUAL = { integrity: 'verified', tape: 'on-media', cloud: 'deleted', complete: true, pedestal: false } as const

/** So many runs are sorted in no time. */
const FEW = 20_000

/** Its name; null where the database knows better, by how many runs have the property that is asked for. */
export function searchIndex(conditions: RunConditions, by: RunOrder): string | null {
  const { from, to, text, parameters = [] } = conditions
  const asked = PROPERTIES.filter((property) => conditions[property] !== undefined)
  const property = asked.find((each) => conditions[each] !== USUAL[each]) ?? asked[0]
  if (property !== undefined) return by === 'run' ? `by_tag_${property}` : null
  const isShort = from !== undefined && to !== undefined && to - from < FEW
  if (isShort) return ALONG.run
  // Sorting what an index has is quicker than leaving out all other numbers one by one; not when every run must be looked at.
  const looksAtRows = text !== undefined || parameters.length > 0
  return by === 'start' && (from ?? to) !== undefined && !looksAtRows ? 'begin_by_number' : ALONG[by]
}

/**
 * The indexes for searching runs of a tag. MariaDB itself would read all runs of a tag where the first
 * hundred suffice: it considers neither the LIMIT nor a bound on the column that gives the order. Between the
 * order and a range of numbers or times it chooses well, since it estimates the number of runs in the range.
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
 * Properties with an index of their own, in the order of the run numbers; those that usually match few runs
 * come first.
 */
const PROPERTIES = ['problem', 'integrity', 'tape', 'cloud', 'complete', 'pedestal'] as const
const USUAL_VALUES = {
  problem: undefined,
  integrity: 'verified',
  tape: 'on-media',
  cloud: 'deleted',
  complete: true,
  pedestal: false,
} as const

/** This many runs are sorted quickly. */
const FEW = 20_000

/**
 * Few runs are sorted quickly in any order; the database does not know that they are few, since it cannot count
 * the runs with one kind of problem.
 */
const isRareProblem = ({ problem }: RunConditions): boolean =>
  problem !== undefined && problem !== 'any' && problem !== 'incomplete'

/**
 * The names of the indexes to choose from; none if the database decides better, from the number of runs with
 * the requested property.
 */
export function searchIndexes(conditions: RunConditions, by: RunOrder): readonly string[] {
  const { from, to, since, until, text, parameters = [] } = conditions
  const byTime = (since ?? until) === undefined ? [] : [ALONG.start]
  const asked = PROPERTIES.filter((property) => conditions[property] !== undefined)
  const property = asked.find((each) => conditions[each] !== USUAL_VALUES[each]) ?? asked[0]
  if (property !== undefined)
    return by === 'run' || isRareProblem(conditions) ? [`by_tag_${property}`, ...byTime] : []
  const isShort = from !== undefined && to !== undefined && to - from < FEW
  if (isShort) return [ALONG.run]
  const byNumber = (from ?? to) === undefined ? [] : [ALONG.run]
  // Sorting the entries of an index is faster than skipping all other numbers one by one, unless every row
  // must be read.
  const readsRows = text !== undefined || parameters.length > 0
  const order = by === 'start' && byNumber.length > 0 && !readsRows ? 'begin_by_number' : ALONG[by]
  return [...new Set([order, ...(order === 'begin_by_number' ? [] : byNumber), ...byTime])]
}

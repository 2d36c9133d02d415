/**
 * Places that did not answer several times in a row: they are skipped for the rest of the run, so that the
 * others are not delayed.
 */
import type { Replica } from '../../database/replica-schema.ts'

const MOST_FAILURES = 3

export interface UnreachablePlaces {
  includes(replica: Place): boolean
  record(replica: Place, answered: boolean): void
}

type Place = Pick<Replica, 'kind' | 'endpoint'>

export function createUnreachablePlaces(): UnreachablePlaces {
  const failures = new Map<string, number>()
  const placeOf = ({ kind, endpoint }: Place) => (kind === 'tape' ? endpoint : '')
  return {
    includes: (replica) => (failures.get(placeOf(replica)) ?? 0) >= MOST_FAILURES,
    record(replica, answered) {
      failures.set(placeOf(replica), answered ? 0 : (failures.get(placeOf(replica)) ?? 0) + 1)
    },
  }
}

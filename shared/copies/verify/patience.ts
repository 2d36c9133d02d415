/**
 * A place that does not answer several times in a row is left alone for the rest of the work, so that the
 * others get their turn.
 */
import type { Replica } from '../../database/replica-schema.ts'

const FAILURES_BORNE = 3

export interface Patience {
  isLost(replica: Place): boolean
  note(replica: Place, answered: boolean): void
}

type Place = Pick<Replica, 'kind' | 'endpoint'>

export function createPatience(): Patience {
  const failures = new Map<string, number>()
  const placeOf = ({ kind, endpoint }: Place) => (kind === 'tape' ? endpoint : '')
  return {
    isLost: (replica) => (failures.get(placeOf(replica)) ?? 0) >= FAILURES_BORNE,
    note(replica, answered) {
      failures.set(placeOf(replica), answered ? 0 : (failures.get(placeOf(replica)) ?? 0) + 1)
    },
  }
}

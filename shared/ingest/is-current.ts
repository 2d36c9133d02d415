/** The rule whether an object version must be read again. Pure. */
import type { LiveVersion } from '../catalogue/arrivals.ts'
import type { Arrival } from '../database/schema.ts'
import type { ObjectVersion } from '../run.ts'

/**
 * True when the object was read completely and the catalogue agrees with the store: reading it again would
 * change nothing. Not for unfinished arrivals: their next attempt is decided by the retry policy.
 * @param arrival of this version. @param live the version under the key according to the catalogue.
 */
export function isCurrent(
  arrival: Pick<Arrival, 'state' | 'lastModified'>,
  live: LiveVersion | null,
  object: Pick<ObjectVersion, 'etag' | 'lastModified'>,
): boolean {
  switch (arrival.state) {
    case 'done':
      // Not current if the catalogue states that the object is not in the store (deleted after its copy on
      // tape was verified, or missing): it is there again. Nor if it was sent again after a digest disagreed:
      // the stated digest may have been corrected; or after a check contradicted its copy: it may be repaired.
      return (
        live !== null &&
        live.etag === object.etag &&
        live.inStore &&
        !(live.integrity === 'mismatch' && wasSentAgain(object, live.storedAt)) &&
        !(live.isDoubted && wasSentAgain(object, arrival.lastModified))
      )
    case 'invalid':
      return (live === null || live.etag === object.etag) && !wasSentAgain(object, arrival.lastModified)
    default:
      return false
  }
}

/**
 * Another date, not a later one: the store's clock may have been ahead and set back since. Compared in whole seconds:
 * a listing has milliseconds, the description of one object has not.
 */
const wasSentAgain = ({ lastModified }: Pick<ObjectVersion, 'lastModified'>, at: Date | null): boolean =>
  at !== null &&
  lastModified !== null &&
  isAnother(Math.floor(lastModified.getTime() / 1000) - Math.floor(at.getTime() / 1000))

/** A listing may state a second less than the description, which is rounded. */
const isAnother = (seconds: number) => seconds > 0 || seconds < -1

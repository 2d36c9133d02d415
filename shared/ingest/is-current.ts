/** The one rule whether an object version is to be read again: pure. */
import type { LiveVersion } from '../catalogue/arrivals.ts'
import type { Arrival } from '../database/schema.ts'
import type { ObjectVersion } from '../run.ts'

/**
 * True when the object was read to its end, and the catalogue shows what the store holds: reading it again
 * would change nothing. When an arrival that is not finished is tried again is not decided here.
 * @param arrival of this version. @param live what the catalogue believes the store to hold under the key.
 */
export function isCurrent(
  arrival: Pick<Arrival, 'state' | 'lastModified'>,
  live: LiveVersion | null,
  object: Pick<ObjectVersion, 'etag' | 'lastModified'>,
): boolean {
  switch (arrival.state) {
    case 'done':
      // Not in the store by the catalogue: deleted after its copy on tape was verified, or missing, and here
      // once more. Sent again after a digest disagreed: what is stated about the bytes may have been
      // corrected.
      return (
        live !== null &&
        live.etag === object.etag &&
        live.inStore &&
        !(live.integrity === 'mismatch' && wasSentAfter(object, live.storedAt))
      )
    case 'invalid':
      return (live === null || live.etag === object.etag) && !wasSentAfter(object, arrival.lastModified)
    default:
      return false
  }
}

/** By whole seconds: listings state milliseconds where the answer for one object does not. */
const wasSentAfter = ({ lastModified }: Pick<ObjectVersion, 'lastModified'>, at: Date | null): boolean =>
  at !== null && Math.floor(lastModified.getTime() / 1000) > Math.floor(at.getTime() / 1000)

/** Both parts of recalls as track-tape runs them, one after the other. */

import type { RecallContext } from '../../shared/copies/recall/recall.ts'
import { countsOf, fetchRecalls, followRecalls } from '../../shared/copies/recall/schedule.ts'
import type { Logger } from '../../shared/log.ts'

export async function advanceRecalls(context: RecallContext, signal: AbortSignal, log: Logger) {
  const followed = await followRecalls(context, signal, log)
  const fetched = countsOf(await fetchRecalls(context, 3, signal, log))
  return {
    expired: followed.expired,
    advanced: followed.advanced + fetched.advanced,
    present: followed.present + fetched.present,
    failed: followed.failed + fetched.failed,
  }
}

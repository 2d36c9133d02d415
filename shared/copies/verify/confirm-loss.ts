/**
 * A copy that the catalogue has in the store and somebody just did not find there: looked at again and
 * written down as missing, with the alert that is due, so that not only who asked knows of it.
 */

import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { runWithin } from '../../time/limits.ts'
import { verifyReplica } from './verify.ts'

/**
 * True when the copy is missing: it is not asked about again, because the catalogue has it as missing from
 * now on.
 */
export type ConfirmLoss = (copy: Replica, signal: AbortSignal) => Promise<boolean>

/**
 * For all copies of one answer together: somebody waits for it. The others are found by who asks next, or by
 * the scrub.
 */
const WITHIN_MS = 2000
/** What did not find it was the first look. */
const SECOND_LOOK_MS = 200
/** After a look that told nothing: the whole bucket is away, or the store did not answer. */
const PAUSE_MS = 60_000

/** One for each answer, since its time is counted from the first copy on. What cannot be told is no loss. */
export function createConfirmLoss(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  withinMs = WITHIN_MS,
): ConfirmLoss {
  let endsMs: number | null = null
  return async (copy, signal) => {
    const nowMs = performance.now()
    endsMs ??= nowMs + withinMs
    if (nowMs >= endsMs || toldNothingLately(copy, context.now())) return false
    const options = { readBack: 'never', secondLookMs: SECOND_LOOK_MS } as const
    const limits = { timeoutSeconds: (endsMs - nowMs) / 1000, stop: signal }
    try {
      const seen = await runWithin(
        (held) => verifyReplica(context, copy.id, options, held, context.log),
        limits,
      )
      return seen?.outcome === 'missing'
    } catch (error) {
      signal.throwIfAborted()
      context.log.warn({ error, run: copy.runNumber, tag: copy.tag, url: copy.url }, 'loss-not-confirmed')
      return false
    }
  }
}

const toldNothingLately = ({ lastError, checkedAt }: Replica, now: Date): boolean =>
  lastError !== null && checkedAt !== null && now.getTime() - checkedAt.getTime() < PAUSE_MS

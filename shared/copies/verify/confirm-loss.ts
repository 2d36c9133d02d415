/**
 * Verifies a copy that the catalogue has in the store and a reader just did not find there: when it is
 * missing, this is recorded and an alert raised.
 */

import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { runWithin } from '../../time/limits.ts'
import { verifyReplica } from './verify.ts'

/** True when the copy is missing. The catalogue then records it as missing, so it is not checked again. */
export type ConfirmLoss = (copy: Replica, signal: AbortSignal) => Promise<boolean>

/**
 * For all copies of one answer together, since somebody waits for it. The rest is left to the next request or
 * to the scrub.
 */
const LIMIT_MS = 2000
/** The failed read was the first check. */
const SECOND_CHECK_MS = 200
/** After a check without a result: the bucket is missing, or the store did not answer. */
const PAUSE_MS = 60_000

/**
 * Make one for each answer: its time limit starts with the first copy. A check without a result is no loss.
 */
export function createConfirmLoss(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  limitMs = LIMIT_MS,
): ConfirmLoss {
  let endsMs: number | null = null
  return async (copy, signal) => {
    const nowMs = performance.now()
    endsMs ??= nowMs + limitMs
    if (nowMs >= endsMs || failedRecently(copy, context.now())) return false
    const options = { readBack: 'never', secondCheckMs: SECOND_CHECK_MS } as const
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

const failedRecently = ({ lastError, checkedAt }: Replica, now: Date): boolean =>
  lastError !== null && checkedAt !== null && Math.abs(now.getTime() - checkedAt.getTime()) < PAUSE_MS

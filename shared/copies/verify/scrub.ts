/**
 * The scrub: every copy is verified again at least once in CYGNET_SCRUB_DAYS, the one looked at longest ago
 * first, one at a time and so many bytes a run, so that it never stands in the way of copies that are being
 * made.
 */

import { VERIFIABLE } from '../../catalogue/replica-states.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { Logger } from '../../log.ts'
import { openBreakers, tapeBreaker } from '../../work/breaker.ts'
import { isFree } from '../../work/lease.ts'
import { createPatience } from './patience.ts'
import { NOTHING_VERIFIED, summedUp, type VerifySummary, verifyReplica } from './verify.ts'

const DAY_MS = 86_400_000
/**
 * What vanished, and what nothing could be said of, is looked at again after this long and not only at its
 * next turn.
 */
const DOUBT_MS = DAY_MS
/** Rows looked up for one run: more than it gets through. */
const MOST_AT_ONCE = 2000

export interface ScrubProgress extends VerifySummary {
  /** True when every copy that was due had its turn. */
  readonly finished: boolean
}

type Due = Pick<Replica, 'id' | 'kind' | 'endpoint' | 'sizeBytes'>

/**
 * Ends, without throwing, when the signal aborts: the next run goes on there. @throws what the database
 * throws.
 */
export async function scrub(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  options: { readonly secondLookMs?: number },
  signal: AbortSignal,
  log: Logger,
): Promise<ScrubProgress> {
  const due = await dueReplicas(context)
  const mostBytes = context.config.scrub.bytes
  const patience = createPatience()
  let summary = NOTHING_VERIFIED
  let finished = due.length < MOST_AT_ONCE
  for (const [index, replica] of due.entries()) {
    if (signal.aborted) return { ...summary, finished: false }
    // A file larger than all that a run may read has a run of its own.
    const tooMuch = summary.bytes > 0 && summary.bytes + replica.sizeBytes > mostBytes
    if (tooMuch || patience.isLost(replica)) {
      finished = false
      if (tooMuch) break
      continue
    }
    try {
      const readBack = replica.kind === 'tape' ? 'if-needed' : 'always'
      const result = await verifyReplica(context, replica.id, { readBack, ...options }, signal, log)
      if (result === null) continue
      patience.note(replica, result.answered)
      summary = summedUp(summary, result)
    } catch (error) {
      if (!signal.aborted) throw error
      if (index === 0) await noteTooSlow(context, replica)
      return { ...summary, finished: false }
    }
  }
  return { ...summary, finished }
}

/** Those that are due and can be looked at from here, the one looked at longest ago first. */
async function dueReplicas({
  database,
  tape,
  config,
  now,
}: Context<'database' | 'tape'>): Promise<readonly Due[]> {
  const at = now().getTime()
  const [cycle, doubt] = [new Date(at - config.scrub.days * DAY_MS), new Date(at - DOUBT_MS)]
  // While copies to the endpoint wait for it, it is not scrubbed either.
  const { open } = await openBreakers(database, now())
  const endpoint = tape === null || open.includes(tapeBreaker(tape.endpoint)) ? null : tape.endpoint
  return await database
    .selectFrom('replicas')
    .select(['id', 'kind', 'endpoint', 'sizeBytes'])
    .where('state', 'in', VERIFIABLE)
    .where((where) =>
      where.or([
        where('kind', '=', 'cloud'),
        ...(endpoint === null
          ? []
          : [where.and([where('kind', '=', 'tape'), where('endpoint', '=', endpoint)])]),
      ]),
    )
    .where((where) =>
      where.or([
        where('checkedAt', 'is', null),
        where('checkedAt', '<', cycle),
        where.and([
          where('checkedAt', '<', doubt),
          where.or([
            where('state', '=', 'missing'),
            where.and([where('state', '!=', 'suspicious'), where('lastError', 'is not', null)]),
          ]),
        ]),
      ]),
    )
    .where(isFree())
    .orderBy('checkedAt')
    .orderBy('id')
    .limit(MOST_AT_ONCE)
    .execute()
}

/**
 * It had the whole time of a run and was not read to its end: it must not keep the others from their turn for
 * ever.
 */
async function noteTooSlow({ database, now }: Context<'database'>, { id }: Due): Promise<void> {
  const at = now()
  await database
    .updateTable('replicas')
    .set({
      checkedAt: at,
      lastError: 'it could not be read to its end in the time of one run of the scrub',
      updatedAt: at,
    })
    .where('id', '=', id)
    .where('leaseOwner', 'is', null)
    .execute()
}

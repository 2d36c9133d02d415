/**
 * The scrub: every copy is verified again at least once in CYGNET_SCRUB_DAYS, the one checked longest ago
 * first, one at a time and with a limit of bytes for each run, so that it does not delay the making of
 * copies.
 */

import { UNPROVEN, VERIFIABLE } from '../../catalogue/replica-states.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { Logger } from '../../log.ts'
import { openBreakers, tapeBreaker } from '../../work/breaker.ts'
import { latestTime } from '../../work/due.ts'
import { isFree } from '../../work/lease.ts'
import { readBackFor } from './check-replica.ts'
import { createUnreachablePlaces } from './unreachable-places.ts'
import { addToSummary, NOTHING_VERIFIED, type VerifySummary, verifyReplica } from './verify.ts'

const DAY_MS = 86_400_000
/** A copy that is missing or could not be checked is checked again after this long, before its next turn. */
const RECHECK_MS = DAY_MS
/** Rows read for one run: more than it can verify. */
const MOST_AT_ONCE = 2000

export interface ScrubProgress extends VerifySummary {
  /** True when every copy that was due was verified. */
  readonly finished: boolean
}

type Due = Pick<Replica, 'id' | 'kind' | 'endpoint' | 'sizeBytes' | 'doubtedEvidence'>

/** Ends without an error when the signal aborts: the next run continues. @throws what the database throws. */
export async function scrub(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  options: { readonly secondCheckMs?: number },
  signal: AbortSignal,
  log: Logger,
): Promise<ScrubProgress> {
  const due = await dueReplicas(context)
  const mostBytes = context.config.scrub.bytes
  const unreachable = createUnreachablePlaces()
  let summary = NOTHING_VERIFIED
  let finished = due.length < MOST_AT_ONCE
  for (const [index, replica] of due.entries()) {
    if (signal.aborted) return { ...summary, finished: false }
    // A file larger than the limit gets a run of its own.
    const tooMuch = summary.bytes > 0 && summary.bytes + replica.sizeBytes > mostBytes
    if (tooMuch || unreachable.includes(replica)) {
      finished = false
      if (tooMuch) break
      continue
    }
    try {
      const readBack = readBackFor(replica, replica.kind === 'tape' ? 'if-needed' : 'always')
      const result = await verifyReplica(context, replica.id, { readBack, ...options }, signal, log)
      if (result === null) continue
      unreachable.record(replica, result.answered)
      summary = addToSummary(summary, result)
    } catch (error) {
      if (!signal.aborted) throw error
      if (index === 0) await recordTooSlow(context, replica)
      return { ...summary, finished: false }
    }
  }
  return { ...summary, finished }
}

/** The copies that are due and can be checked from here, the one checked longest ago first. */
async function dueReplicas({
  database,
  tape,
  config,
  now,
}: Context<'database' | 'tape'>): Promise<readonly Due[]> {
  const at = now().getTime()
  const [cycle, recheck] = [new Date(at - config.scrub.days * DAY_MS), new Date(at - RECHECK_MS)]
  // While the endpoint's circuit breaker is open, it is not scrubbed either.
  const { open } = await openBreakers(database, now())
  const endpoint = tape === null || open.includes(tapeBreaker(tape.endpoint)) ? null : tape.endpoint
  return await database
    .selectFrom('replicas')
    .select(['id', 'kind', 'endpoint', 'sizeBytes', 'doubtedEvidence'])
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
        where('checkedAt', '>', latestTime(now(), 0)),
        where.and([
          where('checkedAt', '<', recheck),
          where.or([
            where('state', '=', 'missing'),
            // What a read found wrong is not read again each day.
            where.and([where('state', '=', 'suspicious'), where('doubtedEvidence', '!=', 'read')]),
            where.and([
              where('state', '!=', 'suspicious'),
              where('lastError', 'is not', null),
              where('lastError', 'not like', `${UNPROVEN}%`),
            ]),
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
 * The copy had the whole time of a run and was not read to its end. It waits for its next turn, so that it
 * does not block the others.
 */
async function recordTooSlow({ database, now }: Context<'database'>, { id }: Due): Promise<void> {
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

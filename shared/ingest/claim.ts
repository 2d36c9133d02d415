/** Who works on an object version: the lease, and what a duplicate does that meets a colleague at work. */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ArrivalLease,
  claimArrival,
  failDeadArrival,
  findArrival,
  lookUpArrival,
  MAX_ATTEMPTS,
} from '../catalogue/arrivals.ts'
import type { Context } from '../context.ts'
import type { Arrival } from '../database/schema.ts'
import { ConflictError, TransientError } from '../errors.ts'
import type { RunFileId } from '../run.ts'
import type { ObjectDescription } from '../storage/objects.ts'
import { flushOutbox } from '../work/outbox.ts'
import { isCurrent } from './is-current.ts'
import type { Outcome } from './outcome.ts'
import { giveUp } from './refuse.ts'

/** A duplicate waits this long for the call that is at work before it goes back into the queue. */
const WAIT_FOR_OTHER_MS = 20_000
const WAIT_STEP_MS = 250

/** The lease on a version that the ledger knows; or, when there is nothing to do for us, the outcome. */
export async function claimKnown(
  context: Context<'database' | 'queues'>,
  object: ObjectDescription,
  run: RunFileId,
  options: { readonly owner: string; readonly leaseSeconds: number },
  signal: AbortSignal,
): Promise<ArrivalLease | Outcome | 'look-again'> {
  const found = await lookUpArrival(context.database, object)
  if (found === null) throw new TransientError(`the ledger lost the arrival of ${object.key}`)
  const { arrival, live } = found
  if (isCurrent(arrival, live, object)) {
    // Killed between commit and sending, the last call left its requests behind.
    if (live !== null) await flushOutbox(context.database, context.queues, { runId: live.runId }, signal)
    return arrival.state === 'invalid' ? 'invalid' : 'unchanged'
  }
  if (await isDeadly(context, arrival, run, object, signal)) return 'failed'
  const lease = await claimArrival(context.database, arrival, object, options)
  return lease ?? (await waitForOther(context, object, signal))
}

/**
 * True when whoever reads this object dies without a word: then it is failed and told, before it takes
 * another along.
 */
async function isDeadly(
  context: Context<'database' | 'queues'>,
  arrival: Arrival,
  run: RunFileId,
  object: ObjectDescription,
  signal: AbortSignal,
): Promise<boolean> {
  const leaseOver = (arrival.leaseUntil?.getTime() ?? 0) < context.now().getTime()
  if (arrival.state !== 'processing' || arrival.attempts < MAX_ATTEMPTS || !leaseOver) return false
  const reason = `its reader died ${arrival.attempts} times`
  const given = { arrivalId: arrival.id, attempts: arrival.attempts, reason, run, object }
  return await giveUp(context, given, (trx) => failDeadArrival(trx, arrival, reason), signal)
}

/**
 * Another call holds the lease, on a duplicate of this message: its result is ours, unless it dies or takes
 * longer than we wait.
 */
async function waitForOther(
  context: Context<'database'>,
  object: ObjectDescription,
  signal: AbortSignal,
): Promise<Outcome | 'look-again'> {
  for (let waitedMs = 0; waitedMs < WAIT_FOR_OTHER_MS; waitedMs += WAIT_STEP_MS) {
    await sleep(WAIT_STEP_MS, undefined, { signal })
    const arrival = await findArrival(context.database, object)
    if (arrival?.state === 'done') return 'unchanged'
    if (arrival?.state === 'invalid') return 'invalid'
    const leaseOver = (arrival?.leaseUntil?.getTime() ?? 0) < context.now().getTime()
    if (arrival?.state !== 'processing' || leaseOver) return 'look-again'
  }
  throw new ConflictError(`${object.key} is being worked on`)
}

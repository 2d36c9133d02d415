/** Claims an object version that is in the ledger. */
import { type ArrivalLease, claimArrival, lookUpArrival } from '../catalogue/arrivals.ts'
import type { Context } from '../context.ts'
import type { Arrival } from '../database/schema.ts'
import { TransientError } from '../errors.ts'
import type { RunFileId } from '../run.ts'
import type { ObjectDescription } from '../storage/objects.ts'
import { ATTEMPTS_BEFORE_FAILING } from '../work/retry-policy.ts'
import { recordReaderDeaths } from './failed-attempt.ts'
import { isCurrent } from './is-current.ts'
import type { Outcome } from './outcome.ts'

/** The lease on a version that is in the ledger, or the outcome when this process has nothing to do. */
export async function claimKnown(
  context: Context<'database' | 'queues'>,
  object: ObjectDescription,
  run: RunFileId,
  options: Parameters<typeof claimArrival>[3],
): Promise<ArrivalLease | Outcome> {
  const found = await lookUpArrival(context.database, object)
  if (found === null) throw new TransientError(`the ledger lost the arrival of ${object.key}`)
  const { arrival, live } = found
  if (isCurrent(arrival, live, object)) return arrival.state === 'invalid' ? 'invalid' : 'unchanged'
  if (
    hasKilledReaders(arrival, context.now()) &&
    (await recordReaderDeaths(context, arrival, { run, object }))
  )
    return 'failed'
  // The holder works on this same version; if it dies, the arrival is due when its lease has expired.
  return (await claimArrival(context.database, arrival, object, options)) ?? 'in-progress'
}

/** Every process that read this object so far died without recording an outcome. */
const hasKilledReaders = ({ state, attempts, leaseUntil }: Arrival, at: Date): boolean =>
  state === 'processing' && attempts >= ATTEMPTS_BEFORE_FAILING && (leaseUntil?.getTime() ?? 0) < at.getTime()

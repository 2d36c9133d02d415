/** Ends the alerts about copies that are over now. */
import type { Transaction } from 'kysely'
import type { CopyState } from '../database/replica-schema.ts'
import type { Schema } from '../database/schema.ts'
import type { ObjectName } from '../run.ts'
import { addRequests, type Request } from '../work/outbox.ts'
import { resolveRaised } from '../work/raised-alerts.ts'
import { isProven } from './evidence.ts'
import { otherCopies } from './other-copies.ts'
import { badCopyAlert, mendedCopy, savedCopy } from './replica-alerts.ts'
import { NOT_EXPECTED, VERIFIED, WRONG } from './replica-states.ts'
import { replicasOfContent } from './replicas.ts'

/**
 * Call it in the transaction in which a copy of these contents was verified, or replaced by other contents. A copy
 * that is still bad, but is not the last one any more, is alerted as such in place of the page.
 * @returns what was written, to be sent.
 */
export async function settleCopyAlerts(
  trx: Transaction<Schema>,
  content: ObjectName & { readonly sha256: string },
  at: Date,
): Promise<readonly Request[]> {
  const copies = (await replicasOfContent(trx, content)).filter(({ kind }) => kind !== 'local')
  const good = copies.filter(
    (copy) => (VERIFIED.includes(copy.state) && isProven(copy)) || LEFT.includes(copy.state),
  )
  const ended = await resolveRaised(trx, good.flatMap(mendedCopy), at)
  const requests = [...ended]
  for (const copy of copies) {
    if (!WRONG.includes(copy.state)) continue
    const others = await otherCopies(trx, copy)
    if (others.verified.length === 0) continue
    const saved = await resolveRaised(trx, [savedCopy(copy)], at)
    if (saved.length === 0) continue
    const finding =
      copy.state === 'missing'
        ? ({ kind: 'missing' } as const)
        : ({ kind: 'suspicious', reason: copy.lastError ?? 'no reason known' } as const)
    const alerted = badCopyAlert(copy, finding, others)
    await addRequests(trx, [alerted], at)
    requests.push(...saved, alerted)
  }
  return requests
}

/** No copy is expected at its place any more; not one that is still to be made. */
const LEFT: readonly CopyState[] = NOT_EXPECTED.filter((state) => state !== 'planned')

/**
 * Copies that a service works on, or that wait on a disk buffer, followed until they are verified on the
 * medium.
 */

import { claimReplica, type ReplicaOutcome } from '../../catalogue/replica-work.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { ConflictError, classify } from '../../errors.ts'
import { type Logger, withoutSecrets } from '../../log.ts'
import { nextLookAt } from '../../work/back-off.ts'
import { leaseOwner } from '../../work/lease.ts'
import { tapeFileOf } from '../verify/check-replica.ts'
import { besideOutcome, busyOutcome, failedOutcome, storedOutcome, submittedOutcome } from './copy-outcome.ts'
import { finish, type WithTape } from './copy-to-tape.ts'

/** Asked about at once: each is a short question. */
const AT_ONCE = 8
/** Rows read from the catalogue at a time. */
const PAGE = 200

/**
 * Looks at every copy under way whose time has come. Returns how many were looked at, and how many are on the
 * medium now.
 */
export async function followCopies(
  context: WithTape,
  signal: AbortSignal,
  log: Logger,
): Promise<{ readonly looked: number; readonly onMedia: number }> {
  const counts = { looked: 0, onMedia: 0 }
  let after = 0
  while (!signal.aborted) {
    const due = await dueCopies(context, after)
    const waiting = [...due]
    const follow = async () => {
      for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
        const state = await followCopy(context, next.id, signal, log)
        counts.looked += state === null ? 0 : 1
        counts.onMedia += state === 'on-media' ? 1 : 0
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, follow))
    after = due.at(-1)?.id ?? after
    if (due.length < PAGE) break
  }
  return counts
}

const dueCopies = (context: WithTape, after: number) =>
  context.database
    .selectFrom('replicas')
    .select('id')
    .where('kind', '=', 'tape')
    .where('state', 'in', ['submitted', 'staged'])
    .where('endpoint', '=', context.tape.endpoint)
    .where('nextAttemptAt', '<=', context.now())
    .where('id', '>', after)
    .orderBy('id')
    .limit(PAGE)
    .execute()

async function followCopy(
  context: WithTape,
  id: number,
  signal: AbortSignal,
  log: Logger,
): Promise<Replica['state'] | null> {
  const {
    work: { leaseSeconds },
    tape: { copySeconds: lookSeconds },
  } = context.config
  const owner = leaseOwner(context)
  const claim = await claimReplica(context.database, id, ['submitted', 'staged'], {
    owner,
    leaseSeconds: Math.max(leaseSeconds, lookSeconds),
  })
  if (claim === null) return null
  const { replica } = claim
  const fields = log.child({
    run: replica.runNumber,
    tag: replica.tag,
    key: replica.objectKey,
    url: replica.url,
  })
  const limited = AbortSignal.any([signal, AbortSignal.timeout(lookSeconds * 1000)])
  const outcome = await look(context, replica, limited).catch((error): ReplicaOutcome => {
    fields.warn({ error }, 'tape-copy-not-seen')
    const reason = withoutSecrets(classify(error).message)
    return { change: { lastError: reason, nextAttemptAt: nextLookAt(context.now(), replica.startedAt) } }
  })
  try {
    await finish(context, claim, outcome, AbortSignal.timeout(10_000))
  } catch (error) {
    if (error instanceof ConflictError) return null
    throw error
  }
  const state = outcome.change.state ?? replica.state
  if (state !== replica.state)
    fields.info({ state, verifiedBy: outcome.change.verifiedBy, reference: replica.reference }, 'tape-copy')
  return state
}

async function look(context: WithTape, replica: Replica, signal: AbortSignal): Promise<ReplicaOutcome> {
  const { tape } = context
  const seen = await tape.look(
    tapeFileOf(replica),
    { reference: replica.reference, readBack: 'if-needed' },
    signal,
  )
  const at = context.now()
  switch (seen.state) {
    case 'present':
      return storedOutcome(replica, { ...seen, how: 'found' }, at)
    case 'under-way':
      return replica.reference === null
        ? busyOutcome(replica, seen.detail, at)
        : submittedOutcome(replica, replica.reference, at)
    case 'unverified':
      return {
        change: {
          lastError: seen.detail,
          checkedAt: at,
          nextAttemptAt: nextLookAt(at, replica.startedAt),
        },
      }
    case 'different':
      return (
        besideOutcome(replica, seen.detail, (name) => tape.url(name), at) ??
        failedOutcome(replica, `the name kept for these very contents holds others: ${seen.detail}`, at, true)
      )
    case 'failed':
      return failedOutcome(replica, seen.detail, at, true)
    case 'absent':
      return failedOutcome(replica, 'it is not at the endpoint, and no job is at work on it', at, true)
  }
}

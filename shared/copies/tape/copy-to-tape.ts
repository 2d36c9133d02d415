/**
 * One copy to tape, from the wish to the verified file: look, copy, compare, write down. Any number of calls,
 * at once or repeated, make one copy.
 */

import {
  type Claim,
  claimTapeCopy,
  endClaim,
  type ReplicaOutcome,
  whileClaimed,
} from '../../catalogue/replica-work.ts'
import { replicasOfContent } from '../../catalogue/replicas.ts'
import type { TapeContext } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { ConflictError, classify, InvalidInputError, TransientError } from '../../errors.ts'
import { type Logger, withoutSecrets } from '../../log.ts'
import type { TapeDriver } from '../../tape/driver.ts'
import { leaseOwner } from '../../work/lease.ts'
import { sendRequests } from '../../work/send-requests.ts'
import { tapeFileOf } from '../verify/check-replica.ts'
import { otherCopies } from '../verify/other-copies.ts'
import { verifyReplica } from '../verify/verify.ts'
import {
  besideOutcome,
  busyOutcome,
  failedOutcome,
  sourceGoneOutcome,
  storedOutcome,
  submittedOutcome,
} from './copy-outcome.ts'
import { noteEndpointFailure, noteEndpointSuccess } from './endpoint-health.ts'
import { findSource } from './source.ts'

/** A context that has a place for copies. */
export type WithTape = TapeContext & { readonly tape: TapeDriver }

export const hasTape = (context: TapeContext): context is WithTape => context.tape !== null

export type CopyState = Replica['state'] | 'lost'

/**
 * Makes the next copy that waits, live runs first. Null when none waits, or as many as allowed are under way,
 * or the endpoint rests after failures. Never throws for what goes wrong with the copy: that is written down,
 * with the time of the next try.
 */
export async function copyNext(
  context: WithTape,
  signal: AbortSignal,
  log: Logger,
): Promise<CopyState | null> {
  const { config, database, tape } = context
  const claim = await claimTapeCopy(database, tape.endpoint, {
    owner: leaseOwner(context),
    leaseSeconds: config.work.leaseSeconds,
    mostAtOnce: config.tape.copiesAtOnce,
    at: context.now(),
  })
  return claim === null ? null : await workOn(context, claim, signal, log)
}

/** After so long no further copy is begun in the same call: one copy may take most of a function's time. */
const BEGIN_WITHIN_MS = 45_000

/**
 * Makes copies that wait, so many at once, until none is left that may be made now or the time to begin one
 * is over. Returns how many.
 */
export async function copyWaiting(
  context: WithTape,
  atOnce: number,
  signal: AbortSignal,
  log: Logger,
): Promise<{ readonly made: number }> {
  const began = performance.now()
  let made = 0
  const copy = async () => {
    while (!signal.aborted && performance.now() - began < BEGIN_WITHIN_MS) {
      if ((await copyNext(context, signal, log)) === null) return
      made++
    }
  }
  // All are waited for: none goes on behind the back of a call that has ended.
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, copy))
  const failure = ends.find((end) => end.status === 'rejected')
  if (failure !== undefined) throw failure.reason
  return { made }
}

async function workOn(context: WithTape, claim: Claim, signal: AbortSignal, log: Logger): Promise<CopyState> {
  const started = performance.now()
  const { replica } = claim
  const fields = log.child({
    run: replica.runNumber,
    tag: replica.tag,
    key: replica.objectKey,
    url: replica.url,
    attempt: replica.attempts,
  })
  const {
    work: { leaseSeconds },
    tape: { copySeconds },
  } = context.config
  try {
    const outcome = await whileClaimed(context.database, claim, leaseSeconds, signal, (held) =>
      makeCopy(context, replica, AbortSignal.any([held, AbortSignal.timeout(copySeconds * 1000)])),
    )
    await finish(context, claim, outcome, signal)
    await noteEndpointSuccess(context.database, context.tape.endpoint, context.now())
    if (outcome.change.state === 'failed') await doubtSource(context, replica, signal, fields)
    const { state, verifiedBy, reference } = outcome.change
    fields.info(
      {
        state,
        verifiedBy,
        reference,
        sizeBytes: replica.sizeBytes,
        ms: Math.round(performance.now() - started),
      },
      'tape-copy',
    )
    return state ?? replica.state
  } catch (error) {
    return await giveBack(context, claim, error, signal, fields)
  }
}

async function makeCopy(context: WithTape, replica: Replica, signal: AbortSignal): Promise<ReplicaOutcome> {
  const { tape } = context
  const file = tapeFileOf(replica)
  const look = await tape.look(file, { reference: replica.reference, readBack: 'if-needed' }, signal)
  const at = () => context.now()
  switch (look.state) {
    case 'present':
      return storedOutcome(replica, { ...look, how: 'found' }, at())
    case 'under-way':
      return replica.reference === null
        ? busyOutcome(replica, look.detail, at())
        : submittedOutcome(replica, replica.reference, at())
    case 'different':
      return beside(context, replica, look.detail)
    case 'unverified':
      return failedOutcome(
        replica,
        `there is a file of this name that cannot be verified: ${look.detail}`,
        at(),
      )
  }
  const found = await findSource(context, replica, signal)
  if (found.kind === 'gone')
    return sourceGoneOutcome(replica, found.detail, await otherCopies(context.database, replica), at())
  const endedInVain = look.state === 'failed' && replica.reference !== null
  const attempt = endedInVain ? replica.generation + 1 : replica.generation
  const result = await tape.copy(file, found.source, { attempt }, signal)
  switch (result.kind) {
    case 'stored':
      return storedOutcome(replica, result, at())
    case 'occupied':
      return beside(context, replica, result.detail)
    case 'submitted': {
      const outcome = submittedOutcome({ ...replica, reference: null }, result.reference, at())
      return { ...outcome, change: { ...outcome.change, generation: attempt } }
    }
  }
}

const beside = (context: WithTape, replica: Replica, detail: string): ReplicaOutcome =>
  besideOutcome(replica, detail, (name) => context.tape.url(name), context.now()) ??
  failedOutcome(replica, `the name kept for these very contents holds others: ${detail}`, context.now())

/**
 * The store does not give the bytes it should: its copy is verified, so that the catalogue says what is seen.
 */
async function doubtSource(
  context: WithTape,
  replica: Replica,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const content = { bucket: replica.bucket, key: replica.objectKey, sha256: replica.sha256 }
  const stored = (await replicasOfContent(context.database, content)).find(
    (copy) => copy.kind === 'cloud' && copy.state === 'present',
  )
  if (stored !== undefined) await verifyReplica(context, stored.id, { readBack: 'always' }, signal, log)
}

/** Ends the claim and sends what it asks for. */
export async function finish(
  context: TapeContext,
  claim: Claim,
  outcome: ReplicaOutcome,
  signal: AbortSignal,
): Promise<void> {
  await endClaim(context.database, claim, outcome, context.now())
  await sendRequests(context, outcome.requests ?? [], signal)
}

/** The copy failed, or nobody knows how it ended: it is tried again, and looked for first. */
async function giveBack(
  context: WithTape,
  claim: Claim,
  thrown: unknown,
  signal: AbortSignal,
  log: Logger,
): Promise<CopyState> {
  const { replica } = claim
  const error = classify(thrown)
  const reason = withoutSecrets(signal.aborted ? 'the function was stopped' : error.message)
  // Stopped from outside: that is no failure of the copy, and the row should not wait for the end of its
  // lease.
  const outcome = signal.aborted
    ? {
        change: {
          state: 'requested' as const,
          attempts: replica.attempts - 1,
          nextAttemptAt: null,
          lastError: reason,
        },
      }
    : failedOutcome(replica, reason, context.now())
  const ending = AbortSignal.timeout(10_000)
  try {
    await finish(context, claim, outcome, ending)
  } catch (lost) {
    if (!(lost instanceof ConflictError)) throw lost
    log.info({ error }, 'tape-copy-taken-over')
    return 'lost'
  }
  log.error(
    { error, state: outcome.change.state, nextAttemptAt: outcome.change.nextAttemptAt },
    'tape-copy-failed',
  )
  if (!signal.aborted && error instanceof InvalidInputError) await doubtSource(context, replica, signal, log)
  if (!signal.aborted && error instanceof TransientError) {
    const alerts = await noteEndpointFailure(context.database, context.tape.endpoint, reason, context.now())
    await sendRequests(context, alerts, ending)
  }
  return outcome.change.state ?? replica.state
}

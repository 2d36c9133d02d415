/**
 * A run comes back from tape: staged at the endpoint, brought into the store under its key, verified there,
 * and let go again when its time is over. Each call takes a recall one step further; any number of calls, at
 * once or repeated, bring a file back once.
 */

import { RECALL_WORKABLE } from '../../catalogue/replica-states.ts'
import {
  type Claim,
  claimReplica,
  endClaim,
  noteStep,
  type ReplicaOutcome,
  renewClaim,
  whileClaimed,
} from '../../catalogue/replica-work.ts'
import { contentOf, findReplica, replicasOfContent } from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import type { Replica, ReplicaState } from '../../database/replica-schema.ts'
import { ConflictError, classify, InvalidInputError, TransientError } from '../../errors.ts'
import { type Logger, withoutSecrets } from '../../log.ts'
import { leaseOwner } from '../../work/lease.ts'
import { sendRequests } from '../../work/send-requests.ts'
import { hasTape } from '../tape/tape-copy.ts'
import { checkReplica, tapeFileOf } from '../verify/check-replica.ts'
import { verifyReplica } from '../verify/verify.ts'
import { bringBack, tidyUp } from './bring-back.ts'
import { letGo } from './let-go.ts'
import {
  deadlineOf,
  failedOutcome,
  interruptedOutcome,
  presentOutcome,
  stagingOutcome,
  waitingOutcome,
} from './outcome.ts'
import { onlineReference, stageReferenceOf } from './reference.ts'
import { tapeCopyOf } from './whereabouts.ts'

/**
 * `busy`: another function is at it. `not-due`: its next look or try is later. Else the state it is in now.
 */
export type RecallProgress = ReplicaState | 'busy' | 'not-due'

/** How long the endpoint is asked to keep a staged file where it can be read, should nobody release it. */
const STAGE_SECONDS = 86_400
const ENDING_MS = 10_000

/**
 * Takes one recall as far as it gets now. What goes wrong is written down with the time of the next try, and
 * told when there is none; only what keeps that from being written is thrown.
 * @throws InvalidInputError when there is no such recall.
 */
export async function advanceRecall(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  replicaId: number,
  signal: AbortSignal,
  log: Logger,
): Promise<RecallProgress> {
  const {
    work: { leaseSeconds },
    tape: { copySeconds },
  } = context.config
  const found = await findReplica(context.database, replicaId)
  if (found?.kind !== 'recall') throw new InvalidInputError(`there is no recall ${replicaId}`, { replicaId })
  if (!RECALL_WORKABLE.includes(found.state) || isOver(found)) return found.state
  if (!isDue(found, context.now())) return 'not-due'
  const owner = leaseOwner(context)
  const claim = await claimReplica(context.database, replicaId, RECALL_WORKABLE, { owner, leaseSeconds })
  if (claim === null) return 'busy'
  const { replica: recall } = claim
  const fields = log.child({
    run: recall.runNumber,
    tag: recall.tag,
    key: recall.objectKey,
    attempt: recall.attempts + 1,
  })
  const started = performance.now()
  const outcome = await whileClaimed(context.database, claim, leaseSeconds, signal, async (held) => {
    // Another ended it between the look and the claim.
    if (isOver(recall) || !isDue(recall, context.now())) return { change: {} }
    const limited = AbortSignal.any([held, AbortSignal.timeout(copySeconds * 1000)])
    return await takeStep(context, claim, limited).catch(async (error: unknown) => {
      const failed = whatFailed(context, recall, error, signal, fields)
      // While it is staged still, and this recall not ended: interrupted here, the next call comes by again.
      if (isEnd(failed) && !isAboutStore(error)) await doubtTapeCopy(context, recall, held, fields)
      return failed
    })
  }).catch((error) => whatFailed(context, recall, error, signal, fields))
  try {
    await finish(context, claim, outcome, fields)
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
    fields.info('recall-taken-over')
    return 'busy'
  }
  const { state = recall.state, lastError: reason, verifiedBy } = outcome.change
  fields.info(
    { state, reason, verifiedBy, sizeBytes: recall.sizeBytes, ms: Math.round(performance.now() - started) },
    'recall',
  )
  return state
}

const isOver = (recall: Replica): boolean => recall.state === 'failed' && recall.nextAttemptAt === null
const isEnd = ({ change }: ReplicaOutcome): boolean =>
  change.state === 'failed' && change.nextAttemptAt === null
/** It ended because of what is in the store: that says nothing of the copy on tape. */
const isAboutStore = (thrown: unknown): boolean =>
  thrown instanceof InvalidInputError && thrown.details.inStore === true
const isDue = (recall: Replica, at: Date): boolean =>
  recall.nextAttemptAt === null || recall.nextAttemptAt <= at

async function takeStep(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  claim: Claim,
  signal: AbortSignal,
): Promise<ReplicaOutcome> {
  const { replica: recall } = claim
  const copies = await replicasOfContent(context.database, contentOf(recall))
  if (copies.some((copy) => copy.kind === 'cloud' && copy.state === 'deleting'))
    return waitingOutcome('the object is just being deleted from the store', context.now())
  const there = await lookInStore(context, recall, 'if-needed', 'found there', signal)
  if (there !== null) return there
  const deadline = deadlineOf(recall, context.config.recall.hours)
  if (context.now() >= deadline)
    throw new TransientError(recall.lastError ?? 'the tape endpoint has not made it readable')
  if (!hasTape(context)) throw new TransientError('no tape endpoint is configured (CYGNET_TAPE_DRIVER)')
  const copy = tapeCopyOf(copies, context.tape.endpoint)
  if (copy === null)
    throw new InvalidInputError(
      `there is no verified copy of it at the tape endpoint ${context.tape.endpoint} any more`,
    )
  const file = tapeFileOf(copy)
  const staged = await context.tape.stage(
    file,
    { reference: stageReferenceOf(recall), lifetimeSeconds: STAGE_SECONDS },
    signal,
  )
  if (staged.kind === 'staging') return stagingOutcome(recall, staged, deadline, context.now())
  const reference = onlineReference(recall, staged.reference)
  const copying = await noteStep(
    context.database,
    claim,
    { change: { state: 'copying', nextAttemptAt: null, reference } },
    context.now(),
  )
  const way = await bringBack(context, copying, file, signal)
  // What another wrote is as good as its word; what we streamed was compared on the way, part by part.
  const arrived = await lookInStore(context, recall, way === 'streamed' ? 'if-needed' : 'always', way, signal)
  if (arrived === null) throw new TransientError('it was sent, yet it is not in the store')
  return arrived
}

/**
 * What is under the key now, compared with the catalogue: the end of the recall, one way or the other; null
 * when nothing is.
 */
async function lookInStore(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  recall: Replica,
  readBack: 'if-needed' | 'always',
  how: string,
  signal: AbortSignal,
): Promise<ReplicaOutcome | null> {
  const check = await checkReplica(context, recall, readBack, signal)
  switch (check.state) {
    case 'verified':
      return presentOutcome(recall, { ...check, how }, context.now())
    case 'missing':
      return null
    case 'different':
      throw new InvalidInputError(
        `the store holds other contents under ${recall.objectKey} (${check.detail}); they stay, a recall overwrites nothing`,
        { inStore: true },
      )
    case 'unknown':
      throw new TransientError(`what is in the store cannot be compared: ${check.detail}`)
  }
}

function whatFailed(
  context: Context,
  recall: Replica,
  thrown: unknown,
  signal: AbortSignal,
  log: Logger,
): ReplicaOutcome {
  if (signal.aborted) return interruptedOutcome(recall)
  const error = classify(thrown)
  const deadline = deadlineOf(recall, context.config.recall.hours)
  const outcome = failedOutcome(recall, error, withoutSecrets(error.message), deadline, context.now())
  log.error({ error, nextAttemptAt: outcome.change.nextAttemptAt }, 'recall-failed')
  return outcome
}

/**
 * What was to come back does not: the copy on tape is read once more and what is seen is written down, so
 * that nobody counts on wrong bytes or on a file that is not there, and people hear of it when it was the
 * last copy.
 */
async function doubtTapeCopy(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  recall: Replica,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  if (!hasTape(context)) return
  const copy = tapeCopyOf(await replicasOfContent(context.database, contentOf(recall)), context.tape.endpoint)
  if (copy !== null) await verifyReplica(context, copy.id, { readBack: 'always' }, signal, log)
}

/** Ends the claim, and sends what it asks for: also when the function is being stopped. */
async function finish(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  claim: Claim,
  outcome: ReplicaOutcome,
  log: Logger,
): Promise<void> {
  if ((outcome.change.state === 'present' || isEnd(outcome)) && hasTape(context)) {
    // What is cleared away, another who has taken over would miss.
    await renewClaim(context.database, claim, context.config.work.leaseSeconds)
    const left = (await findReplica(context.database, claim.replica.id)) ?? claim.replica
    await tidyUp(context, left, AbortSignal.timeout(ENDING_MS)).catch((error) =>
      log.warn({ error }, 'recall-not-tidied-up'),
    )
    await letGo(context, left, AbortSignal.timeout(ENDING_MS)).catch((error) =>
      log.warn({ error }, 'recall-not-released'),
    )
  }
  await endClaim(context.database, claim, outcome, context.now())
  await sendRequests(context, outcome.requests ?? [], AbortSignal.timeout(ENDING_MS))
}

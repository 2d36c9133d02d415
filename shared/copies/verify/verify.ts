/**
 * Verification as a service: copies are looked at and their checksums compared with the catalogue's, and what
 * was seen is written down with its date. Nothing is ever deleted or called bad for good here: a copy is
 * `missing` or `suspicious`, which are facts of what was seen, and comes back when it is seen to be right.
 */

import { VERIFIABLE } from '../../catalogue/replica-states.ts'
import { type Claim, claimReplica, endClaim, whileClaimed } from '../../catalogue/replica-work.ts'
import { findReplica } from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { ConflictError, classify } from '../../errors.ts'
import { type Logger, withoutSecrets } from '../../log.ts'
import { leaseOwner } from '../../work/lease.ts'
import { addRequests, type Request } from '../../work/outbox.ts'
import { sendRequests } from '../../work/send-requests.ts'
import { type LookedAt, lookTwice, type Seen, type VerifyOptions } from './look.ts'
import { otherCopies } from './other-copies.ts'
import { doubtAlert, seenOutcome } from './outcome.ts'
import { createPatience } from './patience.ts'
import { type SelectedReplica, selectReplicas, type VerifySelection } from './select.ts'

export interface Verification {
  /** The row before it was looked at. */
  readonly replica: Replica
  readonly outcome: Seen['state']
  /** By what it was verified, or what was seen, or why nothing could be said. */
  readonly detail: string
  readonly bytesRead: number
  /** False when the place did not answer: that says nothing about the copy. */
  readonly answered: boolean
}

/**
 * Verifies one copy now and writes down what was seen, with its history line, the alert that is due and the
 * legacy statuses, in one transaction. Null when there is nothing to be verified: the copy is not made yet,
 * was deleted, is on the DAQ's disk.
 * @throws the signal's reason when it aborts (the row stays as it was), else only what the catalogue's
 * database throws.
 */
export async function verifyReplica(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  replicaId: number,
  options: VerifyOptions,
  signal: AbortSignal,
  log: Logger,
): Promise<Verification | null> {
  const started = performance.now()
  const leaseSeconds = context.config.work.leaseSeconds
  const owner = leaseOwner(context)
  const before = await findReplica(context.database, replicaId)
  if (before === null || before.kind === 'local') return null
  const claim = await claimReplica(context.database, replicaId, VERIFIABLE, { owner, leaseSeconds })
  if (claim === null) return isVerifiable(before) ? inOtherHands(before) : null
  const { replica } = claim
  const { seen, bytesRead, error } = await lookAt(context, claim, options, signal)
  try {
    await writeDown(context, claim, seen)
  } catch (lost) {
    if (lost instanceof ConflictError) return inOtherHands(replica)
    throw lost
  }
  const detail = detailOf(seen)
  const fields = {
    run: replica.runNumber,
    tag: replica.tag,
    key: replica.objectKey,
    url: replica.url,
    detail,
    bytesRead,
  }
  const level = seen.state === 'verified' ? 'info' : 'warn'
  log[level](
    { ...fields, ...(error === undefined ? {} : { error }), ms: Math.round(performance.now() - started) },
    `copy-${seen.state}`,
  )
  return { replica, outcome: seen.state, detail, bytesRead, answered: error === undefined }
}

const isVerifiable = ({ state }: Replica) => VERIFIABLE.includes(state)

const inOtherHands = (replica: Replica): Verification => {
  const detail = 'another function is at work on this copy just now'
  return { replica, outcome: 'unknown', detail, bytesRead: 0, answered: true }
}

function detailOf(seen: Seen): string {
  if (seen.state === 'verified') return seen.by
  return seen.state === 'missing' ? 'it was not there at two looks' : seen.detail
}

async function lookAt(
  context: Context<'database' | 's3' | 'tape'>,
  claim: Claim,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<LookedAt & { readonly error?: Error }> {
  try {
    return await whileClaimed(context.database, claim, context.config.work.leaseSeconds, signal, (held) =>
      lookTwice(context, claim.replica, options, held),
    )
  } catch (thrown) {
    if (signal.aborted) {
      await endClaim(context.database, claim, { change: {} }, context.now()).catch(() => {})
      throw signal.reason
    }
    const error = classify(thrown)
    return { seen: { state: 'unknown', detail: withoutSecrets(error.message) }, bytesRead: 0, error }
  }
}

/** @throws ConflictError when the claim was lost. */
async function writeDown(context: Context<'database' | 'queues'>, claim: Claim, seen: Seen): Promise<void> {
  const { replica } = claim
  const at = context.now()
  const { change, note, also } = seenOutcome(replica, seen, at)
  let alerts: readonly Request[] = []
  await endClaim(
    context.database,
    claim,
    {
      change,
      note: note ?? null,
      async also(trx) {
        await also?.(trx)
        if (seen.state !== 'missing' && seen.state !== 'suspicious') return
        // Under the run's lock: two copies that vanish at once do not count on each other.
        alerts = [doubtAlert(replica, seen, await otherCopies(trx, replica))]
        await addRequests(trx, alerts, at)
      },
    },
    at,
  )
  await sendRequests(context, alerts, AbortSignal.timeout(10_000))
}

export interface VerifySummary {
  readonly checked: number
  readonly verified: number
  readonly missing: number
  readonly suspicious: number
  /** Nothing could be said of them. */
  readonly unknown: number
  /** At most so many bytes were read. */
  readonly bytes: number
}

export const NOTHING_VERIFIED: VerifySummary = {
  checked: 0,
  verified: 0,
  missing: 0,
  suspicious: 0,
  unknown: 0,
  bytes: 0,
}

export const summedUp = (
  summary: VerifySummary,
  { outcome, bytesRead }: Pick<Verification, 'outcome' | 'bytesRead'>,
): VerifySummary => ({
  ...summary,
  checked: summary.checked + 1,
  [outcome]: summary[outcome] + 1,
  bytes: summary.bytes + bytesRead,
})

export interface VerifyRunsOptions extends VerifyOptions {
  /** Copies looked at at once; 2 unless said otherwise. */
  readonly concurrency?: number
}

/**
 * Verifies the copies that a selection means, some at once, and tells of each as it ends. A place that does
 * not answer several times in a row is not asked again: its other copies are `unknown`, and their rows stay
 * as they are.
 * @throws the signal's reason when it aborts, and what the database throws.
 */
export async function verifyRuns(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  selection: VerifySelection,
  options: VerifyRunsOptions,
  signal: AbortSignal,
  onResult: (result: Verification) => void = () => {},
): Promise<VerifySummary> {
  const replicas = selectReplicas(context.database, selection)
  const patience = createPatience()
  const failed = new AbortController()
  const held = AbortSignal.any([signal, failed.signal])
  let summary = NOTHING_VERIFIED
  const verifyOne = async (selected: SelectedReplica) => {
    const result = patience.isLost(selected)
      ? await notAsked(context, selected)
      : await verifyReplica(context, selected.id, options, held, context.log)
    if (result === null) return
    if (!patience.isLost(selected)) patience.note(selected, result.answered)
    summary = summedUp(summary, result)
    onResult(result)
  }
  const work = async () => {
    for (let next = await replicas.next(); next.done !== true; next = await replicas.next()) {
      held.throwIfAborted()
      await verifyOne(next.value)
    }
  }
  const workers = Array.from({ length: options.concurrency ?? 2 }, () =>
    work().catch((error: unknown) => {
      failed.abort(error)
      throw error
    }),
  )
  const failure = (await Promise.allSettled(workers)).find((worker) => worker.status === 'rejected')
  if (failure !== undefined) throw failed.signal.reason
  return summary
}

async function notAsked(context: Context<'database'>, { id }: SelectedReplica): Promise<Verification | null> {
  const replica = await findReplica(context.database, id)
  if (replica === null) return null
  return {
    replica,
    outcome: 'unknown',
    detail: 'not asked: the place does not answer',
    bytesRead: 0,
    answered: false,
  }
}

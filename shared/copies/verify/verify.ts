/**
 * Verifies copies: compares their checksums with the catalogue's and records the finding with its date.
 * Nothing is deleted and no finding is final: a copy that is `missing` or `suspicious` counts again once it
 * is verified.
 */

import { isProven } from '../../catalogue/evidence.ts'
import { otherCopies } from '../../catalogue/other-copies.ts'
import { badCopyAlert } from '../../catalogue/replica-alerts.ts'
import { VERIFIABLE, VERIFIABLE_STAGED } from '../../catalogue/replica-states.ts'
import { type Claim, claimReplica, endClaim, whileClaimed } from '../../catalogue/replica-work.ts'
import { findReplica } from '../../catalogue/replicas.ts'
import { settleCopyAlerts } from '../../catalogue/settle-copy-alerts.ts'
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { ConflictError, classify } from '../../errors.ts'
import { type Logger, withoutSecrets } from '../../log.ts'
import { leaseOwner } from '../../work/lease.ts'
import { addRequests, type Request } from '../../work/outbox.ts'
import { sendRequests } from '../../work/send-requests.ts'
import { checkReplica } from './check-replica.ts'
import { type CheckedCopy, checkTwice, type Finding, type VerifyOptions } from './check-twice.ts'
import { detailOf, outcomeOf, shownFinding } from './outcome.ts'
import { type SelectedReplica, selectReplicas, type VerifySelection } from './select.ts'
import { whileStaged } from './staged-check.ts'
import { createUnreachablePlaces } from './unreachable-places.ts'

export interface Verification {
  /** The row before the check. */
  readonly replica: Replica
  readonly outcome: Finding['kind']
  /** By which checksum it was verified, or what was found, or why it could not be checked. */
  readonly detail: string
  readonly bytesRead: number
  /** False when the place did not answer, which states nothing about the copy. */
  readonly answered: boolean
}

/**
 * Verifies one copy now and records the finding, with its line in the history, its alert and the legacy
 * statuses, in one transaction. Null when there is nothing to verify: the copy is not made yet, was deleted,
 * or is on the DAQ's disk.
 * @throws the signal's reason when it aborts (the row is not changed); otherwise only what the catalogue's
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
  // An unproven copy has the state of its task until it is read back.
  const states = options.stage === undefined ? VERIFIABLE : VERIFIABLE_STAGED
  const claim = await claimReplica(context.database, replicaId, states, { owner, leaseSeconds })
  if (claim === null) return isVerifiable(before) ? inUse(before) : null
  const { replica } = claim
  const { finding: found, bytesRead, error } = await checkUnderClaim(context, claim, options, signal)
  let finding: Finding
  try {
    finding = await record(context, claim, found)
  } catch (lost) {
    if (lost instanceof ConflictError) return inUse(replica)
    throw lost
  }
  const detail = detailOf(finding)
  const fields = {
    run: replica.runNumber,
    tag: replica.tag,
    key: replica.objectKey,
    url: replica.url,
    detail,
    bytesRead,
  }
  const level = finding.kind === 'verified' || finding.kind === 'unproven' ? 'info' : 'warn'
  log[level](
    { ...fields, ...(error === undefined ? {} : { error }), ms: Math.round(performance.now() - started) },
    `copy-${finding.kind}`,
  )
  return { replica, outcome: finding.kind, detail, bytesRead, answered: error === undefined }
}

const isVerifiable = ({ state }: Replica) => VERIFIABLE.includes(state)

const inUse = (replica: Replica): Verification => {
  const detail = 'another function is working on this copy now'
  return { replica, outcome: 'unknown', detail, bytesRead: 0, answered: true }
}

async function checkUnderClaim(
  context: Context<'database' | 's3' | 'tape'>,
  claim: Claim,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<CheckedCopy & { readonly error?: Error }> {
  try {
    return await whileClaimed(context.database, claim, context.config.work.leaseSeconds, signal, (held) =>
      checkOrStage(context, claim.replica, options, held),
    )
  } catch (thrown) {
    if (signal.aborted) {
      await endClaim(context.database, claim, { change: {} }, context.now()).catch(() => {})
      throw signal.reason
    }
    const error = classify(thrown)
    return { finding: { kind: 'unknown', reason: withoutSecrets(error.message) }, bytesRead: 0, error }
  }
}

async function checkOrStage(
  context: Context<'database' | 's3' | 'tape'>,
  replica: Replica,
  options: VerifyOptions,
  held: AbortSignal,
): Promise<CheckedCopy> {
  const { tape } = context
  const isOrdered = replica.kind === 'tape' && tape?.endpoint === replica.endpoint
  if (options.stage === undefined || tape === null || !isOrdered)
    return await checkTwice(context, replica, options, held)
  const first = await checkReplica(context, replica, 'always', held)
  const check = () => checkTwice(context, replica, options, held)
  return first.kind === 'unproven'
    ? await whileStaged({ ...context, tape }, replica, options.stage, held, check)
    : await check()
}

/** @returns what the row now states. @throws ConflictError when the claim was lost. */
async function record(
  context: Context<'database' | 'queues'>,
  claim: Claim,
  found: Finding,
): Promise<Finding> {
  const { replica } = claim
  const at = context.now()
  const { change, note, also } = outcomeOf(replica, found, at)
  const finding = shownFinding(replica, found, change)
  let alerts: readonly Request[] = []
  await endClaim(
    context.database,
    claim,
    {
      change,
      note: note ?? null,
      async also(trx) {
        await also?.(trx)
        if (finding.kind === 'verified' && (change.state !== undefined || !isProven(replica)))
          alerts = await settleCopyAlerts(trx, { ...replica, key: replica.objectKey }, at)
        if (finding.kind !== 'missing' && finding.kind !== 'suspicious') return
        // Under the run's lock, so that of two copies lost at once neither counts the other as verified.
        alerts = [badCopyAlert(replica, finding, await otherCopies(trx, replica))]
        await addRequests(trx, alerts, at)
      },
    },
    at,
  )
  await sendRequests(context, alerts, AbortSignal.timeout(10_000))
  return finding
}

export interface VerifySummary {
  readonly checked: number
  readonly verified: number
  readonly missing: number
  readonly suspicious: number
  /** Copies that could not be checked. */
  readonly unknown: number
  /** Copies on tape that have to be staged to be compared. */
  readonly unproven: number
  /** Upper limit of the bytes read. */
  readonly bytes: number
}

export const NOTHING_VERIFIED: VerifySummary = {
  checked: 0,
  verified: 0,
  missing: 0,
  suspicious: 0,
  unknown: 0,
  unproven: 0,
  bytes: 0,
}

export const addToSummary = (
  summary: VerifySummary,
  { outcome, bytesRead }: Pick<Verification, 'outcome' | 'bytesRead'>,
): VerifySummary => ({
  ...summary,
  checked: summary.checked + 1,
  [outcome]: summary[outcome] + 1,
  bytes: summary.bytes + bytesRead,
})

export interface VerifyRunsOptions extends VerifyOptions {
  /** Copies checked at the same time; 2 by default. */
  readonly concurrency?: number
}

/**
 * Verifies the selected copies, some at the same time, and reports each as it ends. A place that does not
 * answer several times in a row is skipped: its other copies are `unknown`, and their rows are not changed.
 * @throws the signal's reason when it aborts, and what the database throws.
 */
export async function verifyRuns(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  selection: VerifySelection,
  options: VerifyRunsOptions,
  signal: AbortSignal,
  onResult: (result: Verification) => void = () => {},
): Promise<VerifySummary> {
  const replicas = selectReplicas(context.database, selection, options.stage !== undefined)
  const unreachable = createUnreachablePlaces()
  const failed = new AbortController()
  const held = AbortSignal.any([signal, failed.signal])
  let summary = NOTHING_VERIFIED
  const verifyOne = async (selected: SelectedReplica) => {
    const result = unreachable.includes(selected)
      ? await unreachableResult(context, selected)
      : await verifyReplica(context, selected.id, options, held, context.log)
    if (result === null) return
    if (!unreachable.includes(selected)) unreachable.record(selected, result.answered)
    summary = addToSummary(summary, result)
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

async function unreachableResult(
  context: Context<'database'>,
  { id }: SelectedReplica,
): Promise<Verification | null> {
  const replica = await findReplica(context.database, id)
  if (replica === null) return null
  return {
    replica,
    outcome: 'unknown',
    detail: 'not checked: the place does not answer',
    bytesRead: 0,
    answered: false,
  }
}
